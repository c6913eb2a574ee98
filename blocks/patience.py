"""How long the hosts of one instance may take in all, where others wait for what they say."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from blocks.errors import Unreachable

ENDS: ContextVar[float | None] = ContextVar("ends", default=None)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Ask nobody any more once so many seconds are over."""
    token = ENDS.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        ENDS.reset(token)


def at_most(seconds: float, host: str) -> float:
    """How many of these seconds may be waited for a host now.

    >>> at_most(60, "uno")
    60
    >>> with patience(5): at_most(60, "uno") <= 5
    True
    """
    if (ends := ENDS.get()) is None:
        return seconds
    left = ends - time.monotonic()
    if left <= 0:
        raise Unreachable(
            f"{host} was not asked any more, for what was asked before took too long",
            hint="see what slows down the two servers of this instance, then run this again",
        )
    return min(seconds, left)
