"""What the time machine of an instance has, as its program says it, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from blocks.plain import plain
from blocks.time_machine import TimeMachine
from tasks.run.moments import Clock, size, span

SILENT_SECONDS = 120.0  # it writes every twenty
SAID = 300


@dataclass(frozen=True)
class Kept:
    """One look at what there is: to which seconds one can go back, and what it takes."""

    taken: float
    free: float
    state: Mapping[str, Any]
    away: str = ""
    now: float = 0.0
    since: float | None = None
    until: float | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    bases: int = 0
    spoiled: tuple[str, ...] = field(default=())
    wal_a_day: float | None = None
    base: float | None = None

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """
        >>> Kept.read({"bytes": 9, "free": 1, "state": {}, "away": "down"}).away
        'down'
        """
        found = cls(float(facts["bytes"]), float(facts["free"]), dict(facts["state"]))
        if "away" in facts:
            return cls(found.taken, found.free, found.state, away=plain(str(facts["away"])))
        return cls(
            found.taken, found.free, found.state,
            now=float(facts["now"]),
            since=_or_none(facts["since"]),
            until=_or_none(facts["until"]),
            gaps=tuple((float(a), float(b)) for a, b in facts["gaps"]),
            bases=int(facts["bases"]),
            spoiled=tuple(plain(str(each)) for each in facts["spoiled"]),
            wal_a_day=_or_none(facts.get("wal_a_day")),  # a program of before does not say it
            base=_or_none(facts.get("base")),
        )  # fmt: skip

    @property
    def is_beginning(self) -> bool:
        """It has nothing yet, and takes its first base backup."""
        return self.since is None and bool(self.state.get("taking"))

    def second(self, share: float) -> float | None:
        """Give the second that lies at a share of all that can be brought back.

        >>> kept = Kept(1.0, 1.0, {}, now=100.0, since=0.0, gaps=((20.0, 60.0),))
        >>> [kept.second(share) for share in (0.0, 0.25, 0.5, 0.9)]
        [0.0, 15.0, 70.0, 94.0]
        >>> Kept(1.0, 1.0, {}).second(0.5)
        """
        if self.since is None:
            return None
        begins = [self.since, *(end for _, end in self.gaps)]
        ends = [*(begin for begin, _ in self.gaps), self.now if self.until is None else self.until]
        whole = [(a, b) for a, b in zip(begins, ends, strict=True) if a < b]
        left = share * sum(b - a for a, b in whole)
        for begin, end in whole:
            if left < end - begin:
                return begin + left
            left -= end - begin
        return None

    def objection(self, policy: TimeMachine, clock: Clock) -> str:
        """Say what is wrong now; nothing where any second up to now is kept.

        >>> policy = TimeMachine(days=7, limit_gb=10)
        >>> well = Kept(1.0, 1.0, {"at": 95.0, "kind": "", "said": ""}, now=100.0, since=9.0)
        >>> well.objection(policy, Clock())
        ''
        >>> Kept(1.0, 1.0, {}, now=100.0).objection(policy, Clock())
        'the time machine has said nothing yet'
        """
        if self.away:
            return f"PostgreSQL does not answer the time machine: {self.away}"
        if not self.state:
            return "the time machine has said nothing yet"
        if (age := self.now - float(self.state["at"])) > SILENT_SECONDS:
            return f"the time machine has said nothing for {span(age)}"
        why = self._trouble(policy)
        if self.since is None:
            return why or ("" if self.is_beginning else "no base backup is whole")
        if self.until is not None:
            then = f"nobody can go back to what came after {clock.at(self.until)}"
            return f"{then}: {why}" if why else then
        return why

    def _trouble(self, policy: TimeMachine) -> str:
        """Say what keeps the program from its work, as it said last."""
        kind, said = str(self.state.get("kind", "")), plain(str(self.state.get("said", "")))[:SAID]
        if kind == "base" and said.startswith("limit "):
            need = size(float(said.removeprefix("limit ")))
            return f"three base backups of {need} do not fit in {policy.limit_gb} GB"
        if kind == "full" and said == "limit":
            return f"its {policy.limit_gb} GB are full"
        sentences = {
            "away": f"PostgreSQL does not answer the time machine: {said}",
            "base": f"a base backup has failed: {said}",
            "disk": f"the time machine cannot work on its disk: {said}",
            "full": f"the disk of the time machine has no room but for the clusters: {said} bytes",
        }
        return sentences.get(kind, "")

    def remarks(self, clock: Clock) -> list[str]:
        """Name the times that are lost, and what was found spoiled.

        >>> lost = Kept(1.0, 1.0, {}, gaps=((0.0, 60.0),), spoiled=("base/a",))
        >>> lost.remarks(Clock(dated=True))  # doctest: +NORMALIZE_WHITESPACE
        ['nobody can go back to what was between 1970-01-01 00:00:00 (UTC) and
         1970-01-01 00:01:00 (UTC)', 'the time machine has spoiled files: base/a']
        """
        said = [
            f"nobody can go back to what was between {clock.at(begin)} and {clock.at(end)}"
            for begin, end in self.gaps
        ]
        if self.spoiled:
            said.append(f"the time machine has spoiled files: {', '.join(self.spoiled)}")
        return said

    def sentence(self, policy: TimeMachine, clock: Clock) -> str:
        """
        >>> kept = Kept(2e9, 1.0, {}, now=100.0, since=0.0, bases=2)
        >>> kept.sentence(TimeMachine(days=7, limit_gb=10), Clock(dated=True))
        'any second since 1970-01-01 00:00:00 (UTC); 2.0 GB of 10 GB, 2 base backups'
        """
        if self.since is None:
            return "the first base backup is being taken"
        takes = f"{size(self.taken)} of {policy.limit_gb} GB, {self.bases} base backups"
        return f"any second since {clock.at(self.since)}; {takes}"


def _or_none(value: object) -> float | None:
    return None if value is None else float(str(value))
