"""Waiting for a condition, with a deadline and a reason."""

import time
from collections.abc import Callable
from typing import TypeVar

from blocks.errors import CommandFailed

T = TypeVar("T")


def until(
    probe: Callable[[], T | None],
    *,
    what: str,
    timeout_seconds: float,
    hint: str = "",
    every: float = 0.2,
) -> T:
    """Wait until a probe answers with something true, and return it."""
    deadline = time.monotonic() + timeout_seconds
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise CommandFailed(f"{what}: not within {timeout_seconds:.0f} s", hint=hint)
        time.sleep(every)
    return answer
