"""The lease of an instance that this run holds, if any."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from blocks.errors import Busy


@dataclass
class Lease:
    """The right to act on an instance, until it is lost."""

    instance: str
    lost: bool = False


HELD: ContextVar[Lease | None] = ContextVar("lease", default=None)


@contextmanager
def regardless() -> Iterator[None]:
    """Act without the lease: to undo one's own work where nobody else is at work."""
    token = HELD.set(None)
    try:
        yield
    finally:
        HELD.reset(token)


def require_lease() -> None:
    """Refuse to act once the lease of this run is lost: somebody else may act by now."""
    if (lease := HELD.get()) and lease.lost:
        raise Busy(
            f"this run lost its lock on {lease.instance}, so it stopped before its next command",
            hint="look at the newer run of this instance, then retry this one",
        )
