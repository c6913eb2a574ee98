"""Seconds that people care about."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Self

from tasks.run.desk import desk

# The run that steps were taken in, and each with its seconds.
TAKEN: ContextVar[tuple[str, list[tuple[str, float]]]] = ContextVar("taken", default=("", []))
WITHIN: ContextVar[bool] = ContextVar("within", default=False)


def _run() -> str:
    run = desk().run()
    return run.id if run else "a shell"


def steps() -> list[tuple[str, float]]:
    """The steps that this run has taken so far, and their seconds."""
    run, taken = TAKEN.get()
    return taken if run == _run() else []


@contextmanager
def timed(title: str) -> Iterator[None]:
    """Note how long a step took; what it consists of is not noted again."""
    if WITHIN.get():
        yield
        return
    if TAKEN.get()[0] != _run():
        TAKEN.set((_run(), []))
    begun, token = time.monotonic(), WITHIN.set(True)
    try:
        yield
    finally:
        WITHIN.reset(token)
        TAKEN.get()[1].append((title, time.monotonic() - begun))


class Stopwatch:
    """Counts from the moment the button was pressed, or from now without a server.

    Around a part of a procedure it keeps, as `seconds`, how long that part took.
    """

    seconds = ""

    def __init__(self, *, from_now: bool = False, begun: str = "") -> None:
        self.begun = datetime.fromisoformat(begun) if begun else datetime.now(UTC)
        run = desk().run()
        pressed = run.created if run and not from_now else None
        if pressed is not None and not begun:
            self.begun = min(self.begun, pressed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def retried(self) -> bool:
        """Tell whether this run has failed before, and somebody has mended something since."""
        run = desk().run()
        return bool(run and run.times > 1)

    def stop(self) -> None:
        """Keep the seconds until now."""
        self.seconds = self.read()

    def read(self) -> str:
        return f"{(datetime.now(UTC) - self.begun).total_seconds():.1f}"
