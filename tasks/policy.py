"""What a step is, and when it is tried again."""

import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from blocks.errors import Unreachable

P = ParamSpec("P")
R = TypeVar("R")


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Retry only what can heal by itself: a host that did not answer."""
    return isinstance(state.result(raise_on_failure=False), Unreachable)


def step(title: str, *, retries: int = 1) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a task of a runbook: it looks, decides, acts and proves.

    Nothing is cached. A retried run walks through the finished steps again, and each of them
    finds by looking that it has nothing left to do; a cached "done" could be out of date.
    """

    def make(function: Callable[P, R]) -> Callable[P, R]:
        made = task(
            task_run_name=title,
            retries=retries,
            retry_delay_seconds=5,
            retry_condition_fn=is_transient,
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        return cast("Callable[P, R]", made(function))

    return make


def log() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """The run's own logger, which the UI shows; a plain one outside a run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("relevo")
