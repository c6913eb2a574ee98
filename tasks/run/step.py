"""What a step is, and when it is tried again."""

import functools
import inspect
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from blocks.answers import understood
from blocks.errors import ShutOut, Unreachable
from tasks.run.desk import Logger, desk
from tasks.run.timing import timed

P = ParamSpec("P")
R = TypeVar("R")


def heals(said: object) -> bool:
    """Tell whether what went wrong was a silence; a key or a login is put right by a person."""
    return isinstance(said, Unreachable) and not isinstance(said, ShutOut)


class Step(Generic[P, R]):
    """A function of a runbook, which whoever watches takes as a task or as it is."""

    def __init__(self, fn: Callable[P, R], *, title: str, retries: int) -> None:
        self.fn, self.title, self.retries = fn, title, retries
        functools.update_wrapper(self, fn)

    def named(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Say what this step does, with the names of what it was given."""
        bound = inspect.signature(self.fn).bind(*args, **kwargs)
        bound.apply_defaults()
        return self.title.format(**bound.arguments)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        with timed(self.named(*args, **kwargs)):
            return desk().take(self, *args, **kwargs)


def step(title: str, *, retries: int = 1) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a task of a runbook: it looks, decides, acts and proves.

    Nothing is cached. A retried run walks through the finished steps again, and each of them
    finds by looking that it has nothing left to do; a cached "done" could be out of date.
    """

    def make(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def understand(*args: P.args, **kwargs: P.kwargs) -> R:
            # What one host answers and nobody foresaw is a sentence, and of that step alone.
            with understood(f"a host's answer ({function.__module__}.{function.__name__})"):
                return function(*args, **kwargs)

        return Step(understand, title=title, retries=retries)

    return make


def log() -> Logger:
    """The run's own logger, which the UI shows; a plain one outside a run."""
    return desk().log()
