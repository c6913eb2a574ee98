"""How long the hosts of one instance may take in all, where others wait for what they say."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from blocks.errors import Unreachable


class Late(TimeoutError):
    """What was asked did not end in its time, over a connection that may be as good as ever."""


ENDS: ContextVar[float | None] = ContextVar("ends", default=None)
LEAST: ContextVar[float] = ContextVar("least", default=0.0)


@contextmanager
def patience(seconds: float, *, least: float = 0.0) -> Iterator[None]:
    """Ask nobody any more once so many seconds are over.

    What was asked before gets `least`, so that a command that has begun may end.
    """
    token, before = ENDS.set(time.monotonic() + seconds), LEAST.set(least)
    try:
        yield
    finally:
        ENDS.reset(token)
        LEAST.reset(before)


def at_most(seconds: float, host: str) -> float:
    """How many of these seconds may be waited for a host now.

    >>> at_most(60, "uno")
    60
    >>> with patience(5): at_most(60, "uno") <= 5
    True
    >>> with patience(5, least=10): at_most(60, "uno"), at_most(7, "uno")
    (10, 7)
    """
    if (ends := ENDS.get()) is None:
        return seconds
    left = ends - time.monotonic()
    if left <= 0:
        raise Unreachable(
            f"{host} was not asked: the questions before took too long",
            hint="find out what slows down the two servers of this instance, then run this again",
        )
    return min(seconds, max(left, LEAST.get()))
