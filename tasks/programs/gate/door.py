"""What stands open to the recovery host's key, and for what."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass
from typing import NoReturn, Sequence  # Python 3.8

WORD = re.compile(r"^(repair|failback) ([0-9]{1,12})\s*\Z")


@dataclass(frozen=True)
class Door:
    """What stands open."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    until: str
    filestore: str
    quarantine: str

    def purpose(self) -> str:
        """For what writing is open now; nothing when nobody has opened it, or its time is over."""
        try:
            file = os.open(self.until, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                said = os.read(file, 100).decode("ascii")
            finally:
                os.close(file)
        except (OSError, ValueError):
            return ""
        found = WORD.match(said)
        return found[1] if found and time.time() < int(found[2]) else ""

    def objection(self, wanted: Sequence[str]) -> str:
        """Why nothing may be written now; nothing when one of these purposes has opened it."""
        open_for = self.purpose()
        if open_for in wanted:
            return ""
        if open_for:
            return f"writing is open for a {open_for}, and this is not part of one"
        return f"writing is open only while a {' or a '.join(wanted)} runs"


def refuse(why: str) -> NoReturn:
    sys.exit("relevo: refused: " + why)


def inside(path: str, folders: tuple[str, ...]) -> bool:
    real = os.path.realpath(path)
    roots = [os.path.realpath(folder) for folder in folders]
    return any(real == root or real.startswith(root + "/") for root in roots)
