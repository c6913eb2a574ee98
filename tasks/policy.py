"""What a step is, and when it is tried again."""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from blocks.answers import understood
from blocks.errors import ShutOut, Unreachable
from blocks.plain import PLAINLY
from tasks import bare
from tasks.timing import timed

P = ParamSpec("P")
R = TypeVar("R")


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Retry only what can heal by itself: a host that did not answer."""
    return heals(state.result(raise_on_failure=False))


def heals(said: object) -> bool:
    """Tell whether what went wrong was a silence; a key or a login is put right by a person."""
    return isinstance(said, Unreachable) and not isinstance(said, ShutOut)


class Step(Task[P, R]):
    """A task of Prefect's, which is also a plain function where no server is up."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        bound = inspect.signature(self.fn).bind(*args, **kwargs)
        bound.apply_defaults()
        title = str(self.task_run_name).format(**bound.arguments)
        with timed(title):
            if bare.alone():
                return bare.take(title, lambda: self.fn(*args, **kwargs), retries=self.retries or 0)
            return super().__call__(*args, **kwargs)


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

        return Step(
            understand,
            task_run_name=title,
            retries=retries,
            retry_delay_seconds=bare.RETRY_SECONDS,
            retry_condition_fn=is_transient,
            cache_policy=NO_CACHE,
            persist_result=False,
        )

    return make


def log() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """The run's own logger, which the UI shows; a plain one outside a run."""
    try:
        found = get_run_logger()
    except MissingContextError:
        return bare.LOG
    speaking = found.logger if isinstance(found, logging.LoggerAdapter) else found
    speaking.addFilter(PLAINLY)
    return found
