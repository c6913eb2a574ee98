"""What the WAL tells of the time after the fork."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bounded import FEW

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE = re.compile(
    r"^rmgr: (?P<manager>\w+) .*? tx: +(?P<xid>\d+), lsn: (?P<lsn>[0-9A-F/]+), .*?"
    r"desc: (?P<what>[A-Z_+]+) ?(?P<rest>.*)$"
)
RELATION = re.compile(r"\brel \d+/(\d+)/(\d+)\b")
TUPLES = re.compile(r"\b(\d+) tuples|ntuples: (\d+)")
SUBTRANSACTIONS = re.compile(r"subxacts:((?: \d+)+)")
PREPARED = re.compile(r"^(\d+): ")
COMPLAINT = re.compile(r" at ([0-9A-F]+/[0-9A-F]+)\b")
RUNNING = re.compile(r"; \d+ xacts:((?: \d+)+)")
TOLD = ("rmgr: Heap", "rmgr: Transaction", "rmgr: Standby", "rmgr: XLOG")  # the rest says nothing
SEGMENT = re.compile(r"^[0-9A-F]{24}$")
KINDS = {
    "INSERT": "inserted", "MULTI_INSERT": "inserted", "UPDATE": "updated",
    "HOT_UPDATE": "updated", "DELETE": "deleted",
}  # fmt: skip


def position(lsn: str) -> int:
    """
    >>> hex(position("1/20"))
    '0x100000020'
    """
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Story:
    """What the WAL tells: who committed after the fork, and what they did to which tables."""

    def __init__(self, fork: int = 0) -> None:
        self.fork = fork
        self.records = 0  # after the fork
        self.running: set[int] | None = None  # at the first moment that the WAL tells of
        self.committed: set[int] = set()
        self.commits: list[str] = []
        self.changes: dict[int, dict[tuple[int, int], dict[str, int]]] = {}

    def read(self, lines: Iterable[str]) -> Story:
        """
        >>> story = Story().read([
        ...  "rmgr: Heap        len (rec/tot):     54/   150, tx:        512, lsn: 0/03000060, "
        ...  "prev 0/03000028, desc: INSERT off 3 flags 0x00, blkref #0: rel 1663/14/16384 blk 0",
        ...  "rmgr: Heap        len (rec/tot):     54/   150, tx:        513, lsn: 0/03000090, "
        ...  "prev 0/03000028, desc: DELETE off 3 flags 0x00, blkref #0: rel 1663/14/16384 blk 0",
        ...  "rmgr: Transaction len (rec/tot):     34/    34, tx:        512, lsn: 0/030000F8, "
        ...  "prev 0/03000060, desc: COMMIT 2026-01-01 10:00:00.5 UTC",
        ...  "rmgr: Transaction len (rec/tot):     34/    34, tx:        513, lsn: 0/03000198, "
        ...  "prev 0/03000060, desc: ABORT 2026-01-01 10:00:00.7 UTC"])
        >>> story.committed, story.touched()
        ({512}, {(14, 16384): {'inserted': 1}})
        """
        for line in lines:
            found = LINE.match(line) if line.startswith(TOLD) else None
            if not found:
                continue
            late = position(found["lsn"]) >= self.fork
            self.records += late
            xid, what, rest = int(found["xid"]), found["what"].split("+")[0], found["rest"]
            if found["manager"] == "Transaction":
                self.end(xid, what, rest, late=late)
            elif what == "RUNNING_XACTS" and self.running is None and not late:
                some = RUNNING.search(rest)
                self.running = set(map(int, some[1].split())) if some else set()
            relation = RELATION.search(rest)
            if relation and found["manager"] in {"Heap", "Heap2"} and what in KINDS:
                mine = self.changes.setdefault(xid, {})
                counts = mine.setdefault((int(relation[1]), int(relation[2])), {})
                many = TUPLES.search(rest) if what == "MULTI_INSERT" else None
                rows = int(many[1] or many[2]) if many else 1
                counts[KINDS[what]] = counts.get(KINDS[what], 0) + rows
        return self

    def end(self, xid: int, what: str, rest: str, *, late: bool) -> None:
        """Note who committed after the fork; whoever ended before it is no news to anybody."""
        prepared = PREPARED.match(rest)
        if prepared:
            xid, rest = int(prepared[1]), rest[prepared.end() :]
        inner = SUBTRANSACTIONS.search(rest)
        all_of_it = {xid, *map(int, inner[1].split() if inner else ())}
        if late and what in {"COMMIT", "COMMIT_PREPARED"}:
            self.committed |= all_of_it
            self.commits.append(rest.split(";")[0].strip())
        elif not late and what in {"COMMIT", "COMMIT_PREPARED", "ABORT", "ABORT_PREPARED"}:
            for each in all_of_it:
                self.changes.pop(each, None)

    @property
    def reaches_back(self) -> bool:
        """Tell whether the WAL begins before every transaction that committed after the fork."""
        if self.running is None:
            return not self.committed
        return not self.running & self.committed

    def touched(self) -> dict[tuple[int, int], dict[str, int]]:
        """Databases and tables, with the changes that were committed."""
        found: dict[tuple[int, int], dict[str, int]] = {}
        for xid in self.committed & self.changes.keys():
            for relation, counts in self.changes[xid].items():
                for kind, number in counts.items():
                    mine = found.setdefault(relation, {})
                    mine[kind] = mine.get(kind, 0) + number
        return found


def read_wal(config: dict[str, Any]) -> Story:
    """Read on from the oldest WAL there is; where it is torn before the fork, from the fork."""
    fork = position(config["fork"])
    start = oldest(Path(config["directory"], "pg_wal"), config["timeline"], fork)
    story = Story(fork)
    said = dump(config, start, story)
    if not story.records and fork in map(position, COMPLAINT.findall(said)):
        return story  # what is valid ends there: nothing was written after the fork
    if not story.records and start != fork:
        story = Story(fork)
        said = dump(config, fork, story)
    # It complains in any case where the WAL ends; one that begins with a complaint read nothing.
    if not story.records:
        sys.exit(f"the WAL after the fork at {config['fork']} cannot be read: {said.strip()}")
    return story


def oldest(folder: Path, timeline: int, fork: int) -> int:
    """Find how far back the WAL of a timeline goes without a gap; no further than to the fork."""
    names = [each for each in folder.iterdir() if SEGMENT.match(each.name)]
    ours = [each for each in names if int(each.name[:8], 16) == timeline]
    if not ours:
        return fork
    size = ours[0].stat().st_size
    numbers = {
        int(each.name[8:16], 16) * ((1 << 32) // size) + int(each.name[16:], 16) for each in ours
    }
    number = fork // size
    if number not in numbers:
        return fork
    while number - 1 in numbers:
        number -= 1
    return number * size


def dump(config: dict[str, Any], start: int, story: Story) -> str:
    """Let pg_waldump tell the story from a position on; give its complaints."""
    argv = [
        config["bin"] + "/pg_waldump", "--path", config["directory"] + "/pg_wal",
        "--timeline", str(config["timeline"]), "--start", f"{start >> 32:X}/{start % (1 << 32):X}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=complaints, text=True, errors="replace"
        ) as talk:
            assert talk.stdout is not None, "it was asked for"
            story.read(talk.stdout)
        complaints.seek(0)
        return complaints.read(FEW).decode("utf-8", "replace")
