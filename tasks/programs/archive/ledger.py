"""What is kept, and what each piece was when it came in: whatever has changed since is spoiled."""

from __future__ import annotations

import os
import sqlite3
from typing import Iterator  # Python 3.8

from .window import Base

SCHEMA = """
CREATE TABLE IF NOT EXISTS segment (
    name TEXT PRIMARY KEY, number INTEGER NOT NULL, sha256 TEXT NOT NULL, sign TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS base (
    label TEXT PRIMARY KEY, timeline INTEGER NOT NULL, position INTEGER NOT NULL,
    start INTEGER NOT NULL, since REAL NOT NULL, taken REAL NOT NULL,
    size INTEGER NOT NULL, sign TEXT NOT NULL);
"""

SPOILED = "spoiled"  # the sign of a base backup that was read again, and is not what it was


class Ledger:
    """The list of all segments and bases; whoever judges only reads it."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/ledger.sqlite"
        self.base = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        self.base.execute("PRAGMA synchronous = FULL")
        self.base.executescript(SCHEMA)

    def close(self) -> None:
        self.base.close()

    def segments(self) -> dict[str, tuple[int, str, str]]:
        """Number, sha256 and sign of each segment, by its name."""
        rows = self.base.execute("SELECT name, number, sha256, sign FROM segment")
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def segment(self, name: str) -> tuple[str, str]:
        """The sha256 and the sign that a segment had when it came in."""
        asked = "SELECT sha256, sign FROM segment WHERE name = ?"
        row = self.base.execute(asked, (name,)).fetchone()
        return (row[0], row[1]) if row else ("", "")

    def add_segment(self, name: str, number: int, sha256: str, sign: str) -> None:
        values = (name, number, sha256, sign)
        self.base.execute("INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?)", values)

    def forget_segment(self, name: str) -> None:
        self.base.execute("DELETE FROM segment WHERE name = ?", (name,))

    def bases(self) -> Iterator[tuple[Base, str]]:
        """Each base with its sign, the oldest first."""
        rows = self.base.execute("SELECT * FROM base ORDER BY since").fetchall()
        return ((Base(*row[:7]), row[7]) for row in rows)

    def add_base(self, base: Base, sign: str) -> None:
        facts = (base.label, base.timeline, base.position, base.start, base.since, base.taken)
        values = (*facts, base.size, sign)
        self.base.execute("INSERT OR REPLACE INTO base VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def forget_base(self, label: str) -> None:
        self.base.execute("DELETE FROM base WHERE label = ?", (label,))


def sign(path: str) -> str:
    """What changes with any change of a file; the empty string where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return ""
    return f"{found.st_size} {found.st_ino} {found.st_ctime_ns}"
