"""What there is, held against what came in; and from it, to which seconds one can go back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any  # Python 3.8

from ..bounded import read_text, run
from . import cluster, names, window
from .cluster import Away, Where
from .ledger import SPOILED, Ledger, sign
from .settings import Settings
from .store import Store, signature
from .window import Base, Span

VERIFY_SECONDS, VERIFY_BYTES = 24 * 3600.0, 16 << 20
MANIFESTS = 13  # the release that added backup manifests
PARTS = 2880  # of all segments: as many as there are looks in a day


@dataclass(frozen=True)
class Seen:
    """One look at all that is kept."""

    where: Where
    spans: list[Span]
    bases: list[Base]
    spoiled: list[str]
    have: set[int]

    @property
    def window(self) -> window.Window:
        return window.window(self.spans)


class Judge:
    """Looks at the past of one instance, and changes nothing."""

    def __init__(self, settings: Settings, ledger: Ledger, store: Store) -> None:
        self.settings, self.ledger, self.store = settings, ledger, store
        self.fresh: dict[str, str] = {}  # signs of what was read again, and found whole
        self.verified: dict[str, str] = {}
        self.commits: dict[int, float | None] = {}

    def look(self, where: Where, *, again: int = -1) -> Seen:
        """Find what is whole, and how far each base goes on the timeline of now.

        One part of the segments is read `again`, so that a day's looks read all of them.
        """
        spoiled = [
            name
            for name, (number, _, _) in self.ledger.segments().items()
            if not self._is_whole(name, again=number % PARTS == again)
        ]
        line = self.store.line(where)
        mine = self._on_the_line(where, line)
        have = {number for name, number in mine.items() if name not in spoiled}
        have |= self._not_copied_yet(where, line)
        found = []
        for base, known in self.ledger.bases():
            on = names.leads_to(base.timeline, base.position, line, where.timeline)
            found.append(replace(base, sound=on and self._is_sound(base, known)))
        spoiled += [f"base/{base.label}" for base in found if not base.sound]

        def last_commit(base: Base, ends: int) -> float:
            return self._last_commit(where, line, base, ends)

        reach = window.spans(found, have, where.live, last_commit=last_commit)
        return Seen(where, reach, found, sorted(spoiled), have)

    def _on_the_line(self, where: Where, line: names.Line) -> dict[str, int]:
        """The segments that lead to now; those of a timeline that was left do not."""
        return {
            name: number
            for name, (number, _, _) in self.ledger.segments().items()
            if name == self._name(where, line, number)
        }

    @staticmethod
    def _name(where: Where, line: names.Line, number: int) -> str:
        timeline = names.timeline(number, where.segment, line, where.timeline)
        return names.name(timeline, number, where.segment)

    def _not_copied_yet(self, where: Where, line: names.Line) -> set[int]:
        """What the cluster itself still has is not lacking."""
        there = [each for each in os.listdir(where.wal) if names.SEGMENT.match(each)]
        found = {each: names.number(each, where.segment) for each in there}
        return {
            number
            for name, number in found.items()
            if number < where.live and name == self._name(where, line, number)
        }

    def _is_whole(self, name: str, *, again: bool) -> bool:
        """Tell whether a segment is what it was; what has been touched is read again."""
        sha256, known = self.ledger.segment(name)
        now = sign(self.store.path(name))
        if not again and now and now in {known, self.fresh.get(name)}:
            return True
        if self.store.sha256(name) != sha256:
            return False
        self.fresh[name] = now
        return True

    def _is_sound(self, base: Base, known: str) -> bool:
        path = self.store.base(base.label)
        if known == SPOILED or not os.path.isdir(path):
            return False
        now, _ = signature(path)
        if now in {known, self.verified.get(base.label)}:
            return True
        argv = verifying(self.settings, path)
        if not argv or run(argv, seconds=VERIFY_SECONDS, limit=VERIFY_BYTES).status != 0:
            return False
        self.verified[base.label] = now
        return True

    def _last_commit(self, where: Where, line: names.Line, base: Base, ends: int) -> float:
        """The last second that is whole before a segment that lacks."""
        for number in range(ends - 1, base.start - 1, -1):
            if number not in self.commits:
                path = self.store.path(self._name(where, line, number))
                self.commits[number] = cluster.last_commit(self.settings, path)
            found = self.commits[number]
            if found is not None:
                return max(found, base.since)
        return base.since


def verifying(settings: Settings, path: str) -> tuple[str, ...]:
    """The command that holds a base backup against its manifest, where it has one."""
    if settings.version < MANIFESTS:
        return ()
    return (f"{settings.bin}/pg_verifybackup", "--no-parse-wal", "-q", path)


def facts(settings: Settings) -> dict[str, Any]:
    """Say all that somebody should know of the past of an instance."""
    ledger, store = Ledger(settings.folder), Store(settings)
    try:
        bases = [base for base, _ in ledger.bases()]
        taken = sum(store.size_of_wal().values()) + sum(base.size for base in bases)
        state = _state(settings)
        disk = os.statvfs(settings.folder)
        said = {"bytes": taken, "state": state, "free": disk.f_bavail * disk.f_frsize}
        try:
            where = cluster.locate(settings)
        except (Away, OSError) as error:
            return {**said, "away": str(error)}
        seen = Judge(settings, ledger, store).look(where)
        found = seen.window
        return {
            **said,
            "now": where.now,
            "wal_a_day": window.per_day(store.arrivals(), where.now),
            "base": max(bases, key=lambda each: each.taken).size if bases else None,
            "since": found.since,
            "until": found.until,
            "reaches_now": found.reaches_now,
            "gaps": found.gaps,
            "bases": sum(base.sound for base in seen.bases),
            "spoiled": seen.spoiled[:20],
        }
    finally:
        ledger.close()


def renew(settings: Settings) -> None:
    """Sign all anew: a new owner is a change of each file, and none of what is in it.

    Whatever has changed besides is found within a day, when all is read again.
    """
    ledger, store = Ledger(settings.folder), Store(settings)
    try:
        for name, (number, sha256, _) in ledger.segments().items():
            ledger.add_segment(name, number, sha256, sign(store.path(name)))
        for base, known in ledger.bases():
            if known != SPOILED:
                ledger.add_base(base, signature(store.base(base.label))[0])
    finally:
        ledger.close()


def _state(settings: Settings) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(read_text(f"{settings.folder}/state.json"))
    except (OSError, ValueError):
        return {}
    return found
