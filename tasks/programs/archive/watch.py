"""Watch for mass changes in what the cluster has replayed, and write down what was seen.

Only what is here is read, as the cluster's owner: WAL, and how big files are. No database of a
customer is entered; whoever tells people asks there for the name of a table.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any, Iterator  # Python 3.8

from .. import durable
from ..bounded import TooLong, TooMuch, lines, read_text
from . import cluster
from .cluster import Away, Where
from .mass import Lost, Relation, Sizes, Tally
from .settings import DAY, Settings

EVERY_SECONDS, SIZES_SECONDS = 15.0, 60.0
READ_SECONDS, LINE_BYTES, MOST_LINES = 30.0, 1 << 20, 2_000_000
PAGE = 8192
KEPT = 20  # of what was seen
GENTLY = ("nice", "-n", "19")


class Watch:
    """Looks every few seconds, and keeps what it has seen for a day."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tally, self.sizes = Tally(), Sizes()
        self.position = self.timeline = 0
        self.looked = self.sized = -DAY
        self.names: dict[int, str] = {}

    def look_now_and_then(self, where: Where) -> None:
        if not self.settings.alarm_rows or time.monotonic() - self.looked < EVERY_SECONDS:
            return
        self.looked = time.monotonic()
        self.look(where)

    def look(self, where: Where) -> None:
        """Read what came since the last look; a beginning, or another timeline, is no news."""
        seen: list[dict[str, Any]] = []
        if where.timeline == self.timeline and where.replayed > self.position:
            with contextlib.suppress(TooLong, TooMuch):
                self.tally.read(self._dumped(where), where.now)
        self.position, self.timeline = where.replayed, where.timeline
        if time.monotonic() - self.sized > SIZES_SECONDS:
            self.sized = time.monotonic()
            seen += self._shrunk(where)
        seen += self._deleted(where)
        if seen:
            self.write(seen, where.now)

    def _dumped(self, where: Where) -> Iterator[str]:
        argv = (
            *GENTLY, f"{self.settings.bin}/pg_waldump", f"--path={where.wal}",
            f"--timeline={where.timeline}", f"--start={_lsn(self.position)}",
            f"--end={_lsn(where.replayed)}",
        )  # fmt: skip
        env = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=env) as dump:
            assert dump.stdout is not None, "it was asked for"
            try:
                for line in lines(
                    dump.stdout.fileno(), limit=LINE_BYTES, seconds=READ_SECONDS, count=MOST_LINES
                ):
                    yield line.decode("ascii", "replace")
            finally:
                dump.kill()

    def _deleted(self, where: Where) -> Iterator[dict[str, Any]]:
        """Name each table of which so many rows, on so large a share of its pages, are gone."""
        for relation, lost in self.tally.lost(where.now).items():
            if lost.rows < self.settings.alarm_rows:
                continue
            share = self._share(where, relation, lost)
            if share >= self.settings.alarm_share:
                self.tally.forget(relation)
                yield {
                    "kind": "deleted", "database": self._name(relation[0]), "file": relation[1],
                    "rows": lost.rows, "share": share, "at": where.now,
                }  # fmt: skip

    def _share(self, where: Where, relation: Relation, lost: Lost) -> float:
        """The share of a table's pages; one that is empty or gone meanwhile is all of it."""
        path = os.path.join(where.directory, "base", str(relation[0]), str(relation[1]))
        size, part = 0, 0
        while (found := _size(f"{path}.{part}" if part else path)) is not None:
            size, part = size + found, part + 1
        return min(1.0, len(lost.pages) * PAGE / size) if size else 1.0

    def _shrunk(self, where: Where) -> Iterator[dict[str, Any]]:
        sizes = {
            int(name): _size_of(os.path.join(where.directory, "base", name))
            for name in os.listdir(os.path.join(where.directory, "base"))
            if name.isdigit()
        }
        self._learn_names()
        for database, was in self.sizes.shrunk(sizes, where.now, self.settings.alarm_share).items():
            yield {
                "kind": "shrank", "database": self._name(database), "from": was,
                "to": sizes.get(database, 0), "at": where.now,
            }  # fmt: skip

    def _learn_names(self) -> None:
        """Ask for the names of the databases; those that are gone are remembered."""
        with contextlib.suppress(Away):  # it is asked again
            self.names.update(cluster.databases(self.settings))

    def _name(self, database: int) -> str:
        if database not in self.names:
            self._learn_names()
        return self.names.get(database, str(database))

    def write(self, seen: list[dict[str, Any]], now: float) -> None:
        """Add what was seen to what is not a day old yet."""
        path = f"{self.settings.folder}/mass.json"
        kept = [each for each in _read(path) if now - float(each["at"]) < DAY]
        text = json.dumps([*kept, *seen][-KEPT:], indent=2) + "\n"
        durable.install(Path(path), text, 0o600)
        print(f"seen: {json.dumps(seen)}", file=sys.stderr, flush=True)


def _read(path: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(read_text(path))
    except (OSError, ValueError):
        return []
    return found


def _lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


def _size_of(folder: str) -> int:
    """What the tables of a database take; temporary ones, whose names begin with t, are none."""
    with os.scandir(folder) as entries:
        names = [entry.path for entry in entries if not entry.name.startswith("t")]
    return sum(_size(path) or 0 for path in names)
