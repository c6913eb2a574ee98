"""Positions in the write-ahead log."""

from dataclasses import dataclass


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
        high, low = text.strip().split("/")
        return cls((int(high, 16) << 32) + int(low, 16))

    def __sub__(self, other: "Lsn") -> int:
        return self.offset - other.offset

    def __str__(self) -> str:
        """
        >>> str(Lsn.parse("16/B374D848"))
        '16/B374D848'
        """
        return f"{self.offset >> 32:X}/{self.offset & 0xFFFFFFFF:X}"
