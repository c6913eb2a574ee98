"""What a failover may lose: a pure estimate from what was last known."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.read.lsn import Lsn


@dataclass(frozen=True)
class Sample:
    """How far the origin had written at a time (seconds since 1970)."""

    at: float
    written: Lsn


@dataclass(frozen=True)
class Exposure:
    """What may be lost: everything that the origin committed after the last commit seen here."""

    lossless: bool
    seconds: float | None
    about_bytes: int
    last_commit: str

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
    ) -> "Exposure":
        """Bound the loss in time, and estimate it in bytes from the origin's usual rate.

        The seconds are a bound: no older commit is missing. What the origin had written when it
        was sampled is all here if we received as much, also when nothing was committed since.
        The bytes are what the origin had said it had and we lack, and its usual rate.
        """
        whole = [sample.at for sample in samples if sample.written <= received]
        known = [*whole, *([last_commit] if last_commit is not None else [])]
        last_commit = max(known, default=None)
        seconds = max(0.0, now - last_commit) if last_commit is not None else None
        grown = rate(samples) * (seconds or 0)
        at = datetime.fromtimestamp(last_commit, UTC) if last_commit is not None else None
        return cls(
            lossless=False,
            seconds=seconds,
            about_bytes=known_lag + int(grown),
            last_commit=at.isoformat(timespec="milliseconds") if at else "",
        )

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Exposure":
        return cls(**facts)

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        """
        >>> print(Exposure(False, 12.5, 4096, "2026-01-01T03:00:00Z"))
        at most the commits of the last 12.5 s (after 2026-01-01T03:00:00Z), about 4096 bytes of WAL
        >>> print(Exposure.none())
        nothing
        """
        if self.lossless:
            return "nothing"
        if self.seconds is None:
            return f"an unknown number of commits, about {self.about_bytes} bytes of WAL"
        return (
            f"at most the commits of the last {self.seconds:.1f} s (after {self.last_commit}), "
            f"about {self.about_bytes} bytes of WAL"
        )


def rate(samples: list[Sample]) -> float:
    """Bytes of WAL per second between the last two samples.

    >>> rate([Sample(0, Lsn(0)), Sample(10, Lsn(5000))]), rate([])
    (500.0, 0.0)
    """
    if len(samples) < 2 or samples[-1].at <= samples[-2].at:  # noqa: PLR2004
        return 0.0
    older, newer = samples[-2:]
    return max(0, newer.written - older.written) / (newer.at - older.at)
