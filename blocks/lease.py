"""The lease of an instance that this run holds, if any."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from blocks.errors import Busy
from blocks.shell import Completed
from blocks.turn import Turn

LOOK = "look at the newer run of this instance, then retry this one"


def boot_seconds() -> float:
    """Count on while this machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Lease:
    """The right to act on an instance, until it is lost or ends."""

    instance: str
    lost: bool = False
    turn: Turn | None = None
    ends: float = math.inf
    broken: Callable[[], bool] = bool  # is who keeps the lock for us gone?
    # What hosts have said, by host and question, and when: at_hand.py says how long it serves.
    told: dict[str, dict[tuple[str, ...], tuple[float, Completed]]] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Tell whether somebody else may act by now."""
        self.lost = self.lost or self.broken() or boot_seconds() > self.ends
        return self.lost

    def refused_by(self, host: str) -> Busy:
        """Say that a host executes nothing of this run any more."""
        self.lost = True
        return Busy(
            f"this run lost its lock on {self.instance}: {host} knows of a newer run, and did not "
            "execute this run's next command",
            hint=LOOK,
        )


HELD: ContextVar[Lease | None] = ContextVar("lease", default=None)


@contextmanager
def regardless() -> Iterator[None]:
    """Act without the lease: to undo one's own work where nobody else is at work."""
    token = HELD.set(None)
    try:
        yield
    finally:
        HELD.reset(token)


def require_lease() -> Lease | None:
    """Refuse to act once the lease of this run is lost: somebody else may act by now."""
    lease = HELD.get()
    if lease is not None and lease.over:
        raise Busy(
            f"this run lost its lock on {lease.instance}, so it stopped before its next command",
            hint=LOOK,
        )
    return lease


def my_turn() -> Turn | None:
    """The turn of the lease that this run holds; none where it only looks."""
    return lease.turn if (lease := HELD.get()) else None
