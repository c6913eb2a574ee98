"""What a failover may lose: a pure estimate from what was last known."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Literal

from tasks.postgres.wal import Lsn
from tasks.records.commits import CommitNotice
from tasks.run.moments import Clock, size, span

LEAST_SPAN_SECONDS = 10.0
# An origin's clock that is further ahead than this says nothing about how long ago it was.
AHEAD_SECONDS = 5.0


@dataclass(frozen=True)
class Sample:
    """How far the origin had written at a time (seconds since 1970, by its own clock)."""

    at: float
    written: Lsn
    next_xid: int = 0


@dataclass(frozen=True)
class Exposure:
    """What may be lost: everything that the origin committed after the last commit seen here.

    `last_commit` is by the clock of the origin.
    """

    lossless: bool
    seconds: float | None
    about_bytes: int | None
    last_commit: str
    synchronous: Literal["", "wait", "go_on"] = ""

    @classmethod
    def none(cls) -> "Exposure":
        return cls(lossless=True, seconds=0, about_bytes=0, last_commit="")

    @classmethod
    def estimate(
        cls,
        *,
        now: float,
        last_commit: float | None,
        received: Lsn,
        known_lag: int,
        samples: list[Sample],
        next_xid: int = 0,
        notice: CommitNotice | None = None,
    ) -> "Exposure":
        """Bound the loss in time, and estimate it in bytes from the origin's usual rate.

        The seconds are a bound: no older commit is missing. What the origin had written when it
        was sampled is all here if we received as much, also when nothing was committed since. Once
        a later transaction has ended here, its time counts, though the origin's clock may have
        been set back since the sample.
        The bytes are what the origin had said it had and we lack, and its usual rate, which one
        busy minute can belie; where no rate was seen they are not known.

        Where commits waited for us, nothing is lost that the origin acknowledged: under the policy
        wait it never goes on alone, under go_on not before the seconds of the policy are over,
        counted from a time of which it knew that we had everything.
        """
        if notice and notice.policy == "wait":
            return cls(lossless=False, seconds=0, about_bytes=0, last_commit="", synchronous="wait")
        whole = [
            sample.at
            for sample in samples
            if sample.written <= received and sample.next_xid >= next_xid
        ]
        known = [*whole, *([last_commit] if last_commit is not None else [])]
        known += [notice.covered + notice.seconds] if notice else []
        last_commit = max(known, default=None)
        seconds = None
        if last_commit is not None and last_commit <= now + AHEAD_SECONDS:
            seconds = max(0.0, now - last_commit)
        usual, about = rate(samples), None
        if usual is not None and seconds is not None:
            about = known_lag + int(usual * seconds)
        at = datetime.fromtimestamp(last_commit, UTC) if last_commit is not None else None
        return cls(
            lossless=False,
            seconds=seconds,
            about_bytes=about,
            last_commit=at.isoformat(timespec="milliseconds") if at else "",
            synchronous=notice.policy if notice else "",
        )

    @property
    def size(self) -> str:
        if self.about_bytes is None:
            return "an unknown amount of WAL"
        return f"about {size(self.about_bytes)} of WAL at its usual rate"

    def __str__(self) -> str:
        """
        >>> print(Exposure(False, 9.5, 42, "03Z"))
        at most the commits of the last 9.5 s (after 03Z), about 42 bytes of WAL at its usual rate
        >>> print(Exposure(False, None, None, "03Z"))  # doctest: +NORMALIZE_WHITESPACE
        at most the commits after 03Z by the origin's clock, which is ahead,
        an unknown amount of WAL
        >>> print(Exposure(False, None, None, ""))
        an unknown number of commits, an unknown amount of WAL
        >>> print(Exposure.none())
        nothing
        >>> print(Exposure(False, 0, 0, "", "wait"))  # doctest: +NORMALIZE_WHITESPACE
        nothing: every commit that was acknowledged had waited for this host
        (unless somebody released them at the origin by hand)
        >>> print(Exposure(False, 9.5, 42, "03Z", "go_on"))  # doctest: +NORMALIZE_WHITESPACE
        nothing acknowledged before 03Z, for until then commits waited for this host;
        at most the commits of the last 9.5 s (after 03Z), about 42 bytes of WAL at its usual rate
        """
        if self.lossless:
            return "nothing"
        if self.synchronous == "wait":
            return (
                "nothing: every commit that was acknowledged had waited for this host (unless "
                "somebody released them at the origin by hand)"
            )
        if not self.last_commit:
            return f"an unknown number of commits, {self.size}"
        waited = (
            f"nothing acknowledged before {self.last_commit}, for until then commits waited for "
            "this host; "
        )
        bound = f"after {self.last_commit} by the origin's clock, which is ahead"
        if self.seconds is not None:
            bound = f"of the last {self.seconds:.1f} s (after {self.last_commit})"
        said = f"at most the commits {bound}, {self.size}"
        return waited + said if self.synchronous else said


def sentence(exposure: Exposure, clock: Clock, *, before: str) -> str:
    """Say to a person what may be lost, in their own time.

    >>> clock = Clock("America/Argentina/Buenos_Aires", datetime(2026, 11, 25, 15, 19, tzinfo=UTC))
    >>> lost = Exposure(False, 39.7, 118_300_000, "2026-11-25T15:18:06.350+00:00")
    >>> print(sentence(lost, clock, before="this plan"))  # doctest: +NORMALIZE_WHITESPACE
    Changes saved after 12:18:06 (UTC-3) may be lost: 40 s before this plan; usually about 118 MB.
    >>> sentence(Exposure(False, None, None, ""), clock, before="this plan")
    'Changes may be lost; since when, and how much, is not known.'
    >>> ahead = Exposure(False, None, None, lost.last_commit)
    >>> print(sentence(ahead, clock, before="this plan"))  # doctest: +NORMALIZE_WHITESPACE
    Changes saved after 12:18:06 (UTC-3) by the origin's clock, which is ahead, may be lost; how
    much is not known.
    """
    if exposure.lossless or exposure.synchronous == "wait":
        return str(exposure)
    if not exposure.last_commit:
        return "Changes may be lost; since when, and how much, is not known."
    after = clock.at(exposure.last_commit)
    much = "how much is not known"
    if exposure.about_bytes is not None:
        much = f"usually about {size(exposure.about_bytes)}"
    if exposure.seconds is None:
        said = f"after {after} by the origin's clock, which is ahead, may be lost"
    else:
        said = f"after {after} may be lost: {span(ceil(exposure.seconds))} before {before}"
    lost = f"Changes saved {said}; {much}."
    waited = f"Until {after} commits waited for this host."
    return f"{lost} {waited}" if exposure.synchronous else lost


def rate(samples: list[Sample]) -> float | None:
    """Bytes of WAL per second between the last two samples; none where they are too near.

    >>> rate([Sample(0, Lsn(0)), Sample(10, Lsn(5000))]), rate([])
    (500.0, None)
    """
    if len(samples) < 2 or samples[-1].at < samples[-2].at + LEAST_SPAN_SECONDS:  # noqa: PLR2004
        return None
    older, newer = samples[-2:]
    if newer.written < older.written:
        return None
    return (newer.written - older.written) / (newer.at - older.at)


def kept(samples: list[Sample], new: Sample) -> list[Sample]:
    """The samples to keep with a new one: two, far enough apart to show a rate.

    >>> old, near, new = Sample(0, Lsn(0)), Sample(50, Lsn(1)), Sample(55, Lsn(2))
    >>> kept([old, near], new) == [old, new], kept([old], near) == [old, near]
    (True, True)
    """
    far = [each for each in samples if new.at >= each.at + LEAST_SPAN_SECONDS]
    return [*(far or samples)[-1:], new]
