"""Names and places in the WAL: which file holds which part, on which timeline. Pure."""

from __future__ import annotations

import re
import struct
from typing import List, Tuple  # Python 3.8

SEGMENT = re.compile(r"^[0-9A-F]{24}$")
HISTORY = re.compile(r"^[0-9A-F]{8}\.history$")
LABEL = re.compile(r"^\d{8}T\d{6}Z$")
# A timeline that was left, and where: the lines of a history.
Line = List[Tuple[int, int]]  # an alias is evaluated, by Python 3.8 as well
ADDRESS = struct.Struct("=HHIQ")  # of a page: magic, flags, timeline, its own address


def position(lsn: str) -> int:
    """
    >>> hex(position("1/20"))
    '0x100000020'
    """
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def name(timeline: int, number: int, size: int) -> str:
    """Name the file of a segment.

    >>> name(2, 256, 16 << 20), name(1, 5, 16 << 20)
    ('000000020000000100000000', '000000010000000000000005')
    """
    per_file = (1 << 32) // size
    return f"{timeline:08X}{number // per_file:08X}{number % per_file:08X}"


def number(segment: str, size: int) -> int:
    """
    >>> number("000000020000000100000000", 16 << 20)
    256
    """
    return int(segment[8:16], 16) * ((1 << 32) // size) + int(segment[16:], 16)


def history(text: str) -> Line:
    r"""Read a timeline's history: the timelines before it, and where each was left.

    >>> history("1\t0/3000158\tno recovery target specified\n\n2\t0/5000098\tbefore x\n")
    [(1, 50331992), (2, 83886232)]
    """
    rows = [line.split("\t") for line in text.splitlines() if line.strip()[:1].isdigit()]
    return [(int(row[0]), position(row[1].strip())) for row in rows]


def timeline(number: int, size: int, line: Line, newest: int) -> int:
    """Tell on which timeline a segment is whole: the one in which another begins is of that one.

    >>> line = history("1\\t0/3000158\\tx")
    >>> [timeline(number, 16 << 20, line, 2) for number in (2, 3, 4)]
    [1, 2, 2]
    """
    return next((old for old, left in line if number < left // size), newest)


def leads_to(timeline: int, position: int, line: Line, newest: int) -> bool:
    """Tell whether what begins on a timeline can be followed up to the newest one.

    >>> line = [(1, 500), (2, 900)]
    >>> [leads_to(*each, line, 3) for each in ((1, 400), (1, 600), (2, 600), (3, 950), (4, 9))]
    [True, False, True, True, False]
    """
    return timeline == newest or any(old == timeline and position <= left for old, left in line)


def is_page(page: bytes, address: int) -> bool:
    """Tell whether a page of WAL stands at its own place; one that is empty may stand anywhere.

    A file of PostgreSQL's is used again under another name, with what was in it before.
    """
    if len(page) < ADDRESS.size:
        return False
    return int(ADDRESS.unpack_from(page)[3]) == address or not any(page[: ADDRESS.size])
