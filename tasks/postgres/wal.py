"""The write-ahead log: positions in it, and timelines (PostgreSQL manual, "Timelines")."""

import re
from dataclasses import dataclass

POSITION = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


@dataclass(frozen=True, order=True)
class Lsn:
    """A position in the write-ahead log; differences are bytes.

    >>> Lsn.parse("1/0") - Lsn.parse("0/FFFFFF00")
    256
    >>> Lsn.parse("0/3000028") < Lsn.parse("0/3000100")
    True
    """

    offset: int

    @classmethod
    def parse(cls, text: str) -> "Lsn":
        found = POSITION.fullmatch(text.strip())
        if not found:
            raise ValueError(f"{text[:60]!r} is no position in the write-ahead log")
        return cls((int(found[1], 16) << 32) + int(found[2], 16))

    def __sub__(self, other: "Lsn") -> int:
        return self.offset - other.offset

    def __str__(self) -> str:
        """
        >>> str(Lsn.parse("16/B374D848"))
        '16/B374D848'
        """
        return f"{self.offset >> 32:X}/{self.offset & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class Leader:
    """Whom to follow: its system, its timeline and where it left the former ones."""

    system_identifier: str
    timeline: int
    forks: dict[int, Lsn]
    position: Lsn


def forks(text: str) -> dict[int, Lsn]:
    r"""Read a .history file: for each former timeline, the position at which it was left.

    >>> forks("1\t0/5000098\tno recovery target specified\n\n2\t0/6000000\tx\n")[1]
    Lsn(offset=83886232)
    """
    fields = (line.split("\t") for line in text.splitlines() if line.strip())
    return {int(timeline): Lsn.parse(switch) for timeline, switch, *_ in fields}


def file_name(timeline: int) -> str:
    """
    >>> file_name(18)
    '00000012.history'
    """
    return f"{timeline:08X}.history"


def of_segment(segment: str) -> int:
    """The timeline of a WAL segment's name.

    >>> of_segment("0000000A0000000000000003")
    10
    """
    return int(segment[:8], 16)
