"""Break glass: the same steps with no Prefect server, each told to the terminal as it is taken."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from blocks.errors import RelevoError, ShutOut, Unreachable
from blocks.plain import PLAINLY

R = TypeVar("R")
RETRY_SECONDS = 5
ALONE: ContextVar[bool] = ContextVar("alone", default=False)
NESTED: ContextVar[int] = ContextVar("nested", default=0)
JOURNAL: ContextVar[str] = ContextVar("journal", default="")
LOG = logging.getLogger("relevo")
LOG.addFilter(PLAINLY)


def alone() -> bool:
    """Tell whether this run works without a server."""
    return ALONE.get()


@contextlib.contextmanager
def without_server(journal: str = "") -> Iterator[None]:
    """Let every step in this block run as a plain function; the report names the journal."""
    token, named = ALONE.set(True), JOURNAL.set(journal)
    try:
        yield
    finally:
        ALONE.reset(token)
        JOURNAL.reset(named)


def take(title: str, act: Callable[[], R], *, retries: int) -> R:
    """Take one step and say so; try again only when a host did not answer."""
    indent, depth = "  " * NESTED.get(), NESTED.set(NESTED.get() + 1)
    begun = time.monotonic()
    LOG.info("%s%s", indent, title)
    try:
        for _ in range(retries):
            try:
                return act()
            except Unreachable as error:
                if isinstance(error, ShutOut):
                    raise
                LOG.warning("%s  %s; once more in %d s", indent, error.message, RETRY_SECONDS)
                threading.Event().wait(RETRY_SECONDS)
        return act()
    except RelevoError:
        LOG.error("%s  failed after %.1f s: %s", indent, time.monotonic() - begun, title)  # noqa: TRY400
        raise
    finally:
        NESTED.reset(depth)
        LOG.debug("%s  %.1f s", indent, time.monotonic() - begun)
