"""The history of an instance: who did what, when and why; a line for each, only ever added.

It stands on both hosts. A line that cannot be read is left out aloud, and stops nothing.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from tasks.host.files import STATE
from tasks.records.kinds import Moment
from tasks.records.schema import Record, parse
from tasks.run.step import log

Side: TypeAlias = Literal["origin", "recovery"]
LONGEST = 500  # characters of what a person has typed
KEPT_BYTES = 512 << 10  # of each of the two files that a host keeps
READ_BYTES = 4 * KEPT_BYTES
APPEND_SECONDS = 10
COMPLAINTS = 5  # of lines that cannot be read; of more their number is said
FIRST_YEAR, LAST_YEAR = 2000, 9000
# An instance that has no folder yet was never replicated: nothing is made for it. A line that a
# power cut has torn is ended first. The file of before stays beside the one of now. Nothing waits
# for the disk at the begin of a procedure, which may be a failover.
APPEND = """
cd "$1" 2>/dev/null || exit 0
umask 077
size=$(stat -c %s history.jsonl 2>/dev/null || echo 0)
if [ "$size" -gt "$2" ]; then
    sync history.jsonl
    mv -f history.jsonl history.1.jsonl
fi
if [ -n "$(tail -c 1 history.jsonl 2>/dev/null)" ]; then echo >>history.jsonl; fi
cat >>history.jsonl || exit 1
[ "$4" = begins ] || sync history.jsonl || exit 1
logger -t relevo -- "$3" || echo unheard
"""
READ = """
cd "$1" 2>/dev/null || exit 0
for file in history.1.jsonl history.jsonl; do
    if [ -f "$file" ]; then cat "$file"; echo; fi
done
"""


@dataclass(frozen=True, kw_only=True)
class Entry(Record):
    """One procedure: who had it done, and how it ended; a line without an end is of its begin."""

    run: str
    procedure: str
    person: str
    reason: str
    runner: str
    begun: Moment
    ended: Moment | None = None
    outcome: Literal["done", "failed"] | None = None
    said: str = ""

    def __post_init__(self) -> None:
        for moment in filter(None, (self.begun, self.ended)):
            if moment.tzinfo is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
                raise ValueError(f"{moment} is not a valid time for an entry of the history")

    def as_text(self) -> str:
        """Give the line, which is short whatever somebody has typed."""
        whole = {**self.to_keys(), "version": self.version}
        short = {
            key: plain(value, longest=LONGEST) if isinstance(value, str) else value
            for key, value in whole.items()
        }
        return json.dumps(short, sort_keys=True) + "\n"

    def sentence(self, instance: str) -> str:
        """Say it for the journal of a host."""
        what = f"{self.procedure} of {instance} by {self.person or 'nobody known'}"
        how = f"{self.outcome} at {self.ended:%FT%TZ}" if self.ended else "begins"
        said = f"{what} {how} (run {self.run} on {self.runner}; reason: {self.reason or 'none'})"
        return plain(f"{said}: {self.said}" if self.said else said, longest=2 * LONGEST)


def append(place: Place, instance: OdooInstance, entry: Entry) -> None:
    """Add a line on one host, and say it in the journal there.

    :raises RelevoError: where the host does not answer, or cannot write it.
    """
    argv = (
        "sh", "-c", APPEND, "note-history", str(STATE / instance.name), str(KEPT_BYTES),
        entry.sentence(instance.name), "ends" if entry.ended else "begins",
    )  # fmt: skip
    done = place.host.shell().run(argv, stdin=entry.as_text(), timeout_seconds=APPEND_SECONDS)
    if "unheard" in done.stdout:
        log().warning("the journal of %s did not take a line of the history", place)


def texts(instance: OdooInstance, place: Place) -> str:
    """All lines that a host keeps, as they stand there."""
    argv = ("sh", "-c", READ, "read-history", str(STATE / instance.name))
    return place.host.shell().run(argv, limit_bytes=READ_BYTES).stdout


def read(place: Place, instance: OdooInstance) -> list[Entry]:
    """Read what a host keeps, oldest first."""
    return list(understood(texts(instance, place), f"the history of {instance.name} on {place}"))


def understood(text: str, where: str) -> Iterator[Entry]:
    """Read each line; leave out, with a warning, what is no entry."""
    spoiled = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield parse(Entry, line, f"line {number} of {where}")
        except Refused as error:
            spoiled += 1
            if spoiled <= COMPLAINTS:
                log().warning("%s; it is left out", error.message)
    if spoiled > COMPLAINTS:
        log().warning("%d more lines of %s are left out", spoiled - COMPLAINTS, where)


@dataclass(frozen=True)
class Kept:
    """An entry, the servers that keep it (`origin`, `recovery` or both), and those with its end."""

    entry: Entry
    places: tuple[Side, ...]
    ends: tuple[Side, ...]


def merged(found: Iterable[tuple[Side, Iterable[Entry]]]) -> list[Kept]:
    """Put what both servers keep together, oldest first; an end takes the place of its begin.

    Of a procedure that both know the recovery host's line counts: whoever owns an origin can write
    there what he likes. Where the origin alone has the end, no more than that is taken from it.
    """
    whole: dict[tuple[str, str, str], dict[Side, Entry]] = {}
    for place, entries in sorted(found, key=lambda pair: pair[0] == "recovery"):
        for each in entries:
            told = whole.setdefault((each.run, each.procedure, each.begun.isoformat()), {})
            if each.ended or place not in told:
                told[place] = each
    return sorted(map(_kept, whole.values()), key=lambda kept: kept.entry.begun)


def _kept(told: dict[Side, Entry]) -> Kept:
    entry = told.get("recovery") or told["origin"]
    ends = tuple(place for place, each in told.items() if each.ended)
    if ends == ("origin",):
        end = told["origin"]
        entry = replace(entry, ended=end.ended, outcome=end.outcome, said=end.said)
    return Kept(entry, tuple(told), ends)
