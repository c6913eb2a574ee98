"""To which seconds one can go back, and what may go: decided from what is there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Collection, Sequence  # Python 3.8

HOUR, DAY = 3600.0, 86400.0
WEEK = 7 * DAY
BASES_AT_LEAST = 3  # a limit must hold one that is in use, one that follows it, and WAL


@dataclass(frozen=True)
class Base:
    """A base backup: where it begins, in which segment, and from which second it can be used."""

    label: str
    timeline: int
    position: int
    start: int
    since: float
    taken: float
    size: int
    sound: bool = True


@dataclass(frozen=True)
class Span:
    """The seconds that one base can be brought to; no end where it follows up to now."""

    base: Base
    until: float | None

    def covers(self, at: float) -> bool:
        return self.base.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Window:
    """The seconds that can be brought back, and between which two none can."""

    since: float | None
    until: float | None
    gaps: tuple[tuple[float, float], ...]

    @property
    def reaches_now(self) -> bool:
        return self.since is not None and self.until is None


def lacks(base: Base, have: Collection[int], live: int) -> int | None:
    """Give the first segment that a base needs and nobody has; none where it goes on up to now.

    >>> base = Base("a", 1, 0, 5, 0.0, 0.0, 0)
    >>> lacks(base, {5, 6, 7}, 8), lacks(base, {5, 7}, 8), lacks(base, (), 5)
    (None, 6, None)
    """
    number = base.start
    while number in have:
        number += 1
    return None if number >= live else number


def spans(
    bases: Sequence[Base],
    have: Collection[int],
    live: int,
    *,
    last_commit: Callable[[Base, int], float],
) -> list[Span]:
    """Say for each base that can be used how far it goes; the oldest first."""
    found = []
    for base in sorted((each for each in bases if each.sound), key=lambda each: each.since):
        ends = lacks(base, have, live)
        found.append(Span(base, None if ends is None else last_commit(base, ends)))
    return found


def window(found: Sequence[Span]) -> Window:
    """Put the spans of all bases together.

    >>> a, b = (Base(name, 1, 0, 0, at, at, 0) for name, at in (("a", 10.0), ("b", 50.0)))
    >>> window([Span(a, 30.0), Span(b, None)])
    Window(since=10.0, until=None, gaps=((30.0, 50.0),))
    >>> window([Span(a, 60.0), Span(b, None)]).gaps, window([Span(a, None), Span(b, 70.0)]).until
    ((), None)
    >>> window([])
    Window(since=None, until=None, gaps=())
    """
    if not found:
        return Window(None, None, ())
    gaps, until = [], found[0].until
    for span in found[1:]:
        if until is not None and span.base.since > until:
            gaps.append((until, span.base.since))
        until = None if until is None or span.until is None else max(until, span.until)
    return Window(found[0].base.since, until, tuple(gaps))


def choose(found: Sequence[Span], at: float) -> Base | None:
    """Choose the base from which a second is reached the soonest.

    >>> a, b = (Base(name, 1, 0, 0, at, at, 0) for name, at in (("a", 10.0), ("b", 50.0)))
    >>> all_of_it = [Span(a, 30.0), Span(b, None)]
    >>> [(base := choose(all_of_it, at)) and base.label for at in (5.0, 20.0, 40.0, 60.0)]
    [None, 'a', None, 'b']
    """
    able = [span.base for span in found if span.covers(at)]
    return max(able, key=lambda each: each.since, default=None)


def is_due(found: Sequence[Span], *, wal: int, now: float, base_days: float, limit: int) -> bool:
    """Tell whether a base backup is due: there is none that goes on up to now, or it grows old.

    Where bytes are what is short, one is taken before the limit is reached, so that the oldest may
    go and the newest stays.

    >>> base = Base("a", 1, 0, 0, 0.0, 0.0, 100)
    >>> ask = dict(now=5 * DAY, base_days=7, limit=1000)
    >>> is_due([], wal=0, **ask), is_due([Span(base, None)], wal=300, **ask)
    (True, False)
    >>> is_due([Span(base, 9.0)], wal=0, **ask), is_due([Span(base, None)], wal=401, **ask)
    (True, True)
    """
    going = [span.base for span in found if span.until is None]
    if not going:
        return True
    newest = max(going, key=lambda each: each.since)
    return now - newest.taken > base_days * DAY or wal > (limit - 2 * newest.size) / 2


def superfluous(
    bases: Sequence[Base], *, wal_from: Callable[[int], int], now: float, days: float, limit: int
) -> list[Base]:
    """Name the bases that may go: one of the oldest second that is kept stays, and the newest.

    >>> old, mid, new = (Base(n, 1, 0, i, i * DAY, i * DAY, 100)
    ...     for i, n in enumerate(("old", "mid", "new")))
    >>> ask = dict(wal_from=lambda number: 0, now=4 * DAY, limit=1000)
    >>> [each.label for each in superfluous([old, mid, new], days=3, **ask)]
    ['old']
    >>> ask["limit"] = 250
    >>> [each.label for each in superfluous([old, mid, new], days=30, **ask)]
    ['old']
    """
    kept = sorted(bases, key=lambda each: each.since)
    gone = []
    while len(kept) > 1:
        too_old = kept[1].since <= now - days * DAY
        takes = sum(each.size for each in kept) + wal_from(kept[0].start)
        if not too_old and takes <= limit:
            break
        gone.append(kept.pop(0))
    return gone


def per_day(arrivals: Sequence[tuple[float, int]], now: float) -> float | None:
    """Give the bytes of WAL that came in a day, of the last week; none before an hour is over.

    >>> per_day([(0.0, 70), (9 * DAY, 140), (10 * DAY, 140)], now=10 * DAY)
    40.0
    >>> per_day([(0.0, 70)], now=60.0), per_day([], now=60.0)
    (None, None)
    """
    passed = min(WEEK, now - min((at for at, _ in arrivals), default=now))
    if passed < HOUR:
        return None
    return sum(size for at, size in arrivals if now - at <= passed) / passed * DAY
