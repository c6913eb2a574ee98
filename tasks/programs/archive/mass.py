"""Mass changes, judged from the lines of pg_waldump and from the sizes of databases. Pure.

Counted is what nobody does in passing: rows that were deleted by a transaction that was committed,
and a database that became smaller. Rewritten rows are none: any update of a module rewrites tables.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Deque, Dict, Iterable, Mapping, Set, Tuple  # Python 3.8

MINUTES, WINDOW = 10, 600.0
LEAST_BYTES = 4 << 20  # of what a database must lose, at least
MOST_OPEN = 4096  # transactions whose end is awaited
Relation = Tuple[int, int]  # database and file, by their numbers
DELETED = re.compile(
    r" tx: +(\d+), .*desc: DELETE .*blkref #0: rel 1663/(\d+)/(\d+) (?:fork \w+ )?blk (\d+)"
)
TRANSACTION = re.compile(r"rmgr: Transaction")
ENDED = re.compile(r" tx: +(\d+), .*desc: (COMMIT|ABORT)(?:_PREPARED)?(?: (\d+):)?")
INNER = re.compile(r"subxacts:((?: \d+)+)")


@dataclass
class Lost:
    """Rows that were deleted of a table, and on which of its pages they stood."""

    rows: int = 0
    pages: Set[int] = field(default_factory=set)

    def add(self, other: Lost) -> None:
        self.rows += other.rows
        self.pages |= other.pages


Changes = Dict[Relation, Lost]


class Tally:
    """What was deleted within the last minutes, by transactions that were committed."""

    def __init__(self) -> None:
        self.open: dict[int, Changes] = {}
        self.done: Deque[tuple[float, Changes]] = deque()

    def read(self, lines: Iterable[str], now: float) -> None:
        """Take in what was written since the last time.

        >>> tally = Tally()
        >>> tally.read([
        ...   "rmgr: Heap tx: 7, lsn: 0/1, desc: DELETE off 1, blkref #0: rel 1663/5/9 blk 3",
        ...   "rmgr: Heap tx: 8, lsn: 0/2, desc: DELETE off 1, blkref #0: rel 1663/5/9 blk 4 FPW",
        ...   "rmgr: Heap tx: 9, lsn: 0/3, desc: DELETE off 1, blkref #0: rel 1663/5/9 blk 5",
        ...   "rmgr: Transaction tx: 9, lsn: 0/4, desc: ABORT 2026-01-01 10:00:00 UTC",
        ...   "rmgr: Transaction tx: 6, lsn: 0/5, desc: COMMIT 2026-01-01 UTC; subxacts: 7 8"], 0.0)
        >>> tally.lost(0.0), tally.open
        ({(5, 9): Lost(rows=2, pages={3, 4})}, {})
        >>> tally.lost(601.0)
        {}
        """
        found: Changes = {}
        for line in lines:
            if "desc: DELETE" in line and (row := DELETED.search(line)):
                xid, database, relation, page = map(int, row.groups())
                mine = self.open.setdefault(xid, {}).setdefault((database, relation), Lost())
                mine.add(Lost(1, {page}))
            elif TRANSACTION.match(line) and (end := ENDED.search(line)):
                for changes in self._ended(end, line):
                    if end[2] == "COMMIT":
                        _merge(found, changes)
        while len(self.open) > MOST_OPEN:
            del self.open[next(iter(self.open))]
        if found:
            self.done.append((now, found))

    def _ended(self, end: re.Match[str], line: str) -> list[Changes]:
        inner = INNER.search(line)
        all_of_it = [int(end[3] or end[1]), *map(int, inner[1].split() if inner else ())]
        return [self.open.pop(each) for each in all_of_it if each in self.open]

    def lost(self, now: float) -> Changes:
        """What was deleted of each table since the window began."""
        while self.done and now - self.done[0][0] > WINDOW:
            self.done.popleft()
        found: Changes = {}
        for _, changes in self.done:
            _merge(found, changes)
        return found

    def forget(self, relation: Relation) -> None:
        """Count anew: what was told of a table is told."""
        for _, changes in self.done:
            changes.pop(relation, None)


def _merge(found: Changes, changes: Changes) -> None:
    for relation, lost in changes.items():
        found.setdefault(relation, Lost()).add(lost)


class Sizes:
    """What each database took within the last minutes."""

    def __init__(self) -> None:
        self.seen: Deque[tuple[float, Mapping[int, int]]] = deque()

    def shrunk(self, sizes: Mapping[int, int], now: float, share: float) -> dict[int, int]:
        """Take in the sizes of now; name what is much smaller than before, with what it was.

        The least of the window counts: a table that is rewritten stands there twice for a while.

        >>> sizes, of = Sizes(), 10 << 20
        >>> [sizes.shrunk({5: of * n}, 60.0 * at, 0.2) for at, n in enumerate((10, 19, 10, 10))]
        [{}, {}, {}, {}]
        >>> sizes.shrunk({5: of * 7}, 240.0, 0.2), sizes.shrunk({5: of * 7}, 300.0, 0.2)
        ({5: 104857600}, {})
        >>> sizes.shrunk({}, 360.0, 0.2)
        {5: 73400320}
        """
        while self.seen and now - self.seen[0][0] > WINDOW:
            self.seen.popleft()
        before = {
            database: min(each[database] for _, each in self.seen if database in each)
            for database in {name for _, each in self.seen for name in each}
        }
        found = {
            database: was for database, was in before.items()
            if was - sizes.get(database, 0) >= max(LEAST_BYTES, was * share)
        }  # fmt: skip
        if found:
            self.seen.clear()
        self.seen.append((now, dict(sizes)))
        return found
