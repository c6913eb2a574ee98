"""The page of a run in Prefect's UI, as a desk."""

import functools
import logging
from collections.abc import Callable, Collection, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from prefect import Flow, Task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.events import emit_event
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from blocks.plain import PLAINLY
from tasks.language.catalogue import spoken
from tasks.language.reader import reading, shown, translated
from tasks.orchestrator import form, schedules
from tasks.run import terminal
from tasks.run.desk import Logger, Run
from tasks.run.question import Question, Yes
from tasks.run.report import Report
from tasks.run.step import Step, heals
from tasks.run.tags import BY_SCHEDULE

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Page:
    """A desk that shows each step as a task; outside of a run it has only Prefect's server."""

    journal: str = ""
    tries: int = 3
    again: str = "press the button again"
    emits: bool = True

    @property
    def asks(self) -> bool:
        run = self.run()
        return run is not None and run.is_deployed

    def run(self) -> Run | None:
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            return None
        run = context.flow_run
        return Run(
            str(run.id), run.created, run.run_count, tuple(run.tags), bool(run.deployment_id),
            by_schedule=run.auto_scheduled or BY_SCHEDULE in run.tags,
        )  # fmt: skip

    def begin(self, flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return Flow.__call__(flow, *args, **kwargs)  # past our own __call__

    def end(self, ended: object) -> object | None:
        """Make the state that the run's page shows; whoever called it in Python has its value."""
        context = FlowRunContext.get()
        if not self.asks or context is None or context.flow_run is None:
            return None
        if isinstance(ended, RelevoError):
            return Failed(message=spoken(ended, reading()), data=ended)
        if isinstance(ended, Report):
            return Completed(name=ended.ended, message=translated(ended.title), data=ended)
        return Completed(message=f"{context.flow_run.name}: done", data=ended)

    def take(self, step: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return cast("Task[P, R]", _task(step))(*args, **kwargs)

    def log(self) -> Logger:
        try:
            found = get_run_logger()
        except MissingContextError:
            return terminal.LOG
        speaking = found.logger if isinstance(found, logging.LoggerAdapter) else found
        speaking.addFilter(PLAINLY)
        return found

    def show(self, text: str, *, key: str, title: str) -> None:
        if FlowRunContext.get() is not None:
            create_markdown_artifact(shown(text), key=key, description=translated(title))

    def progress(self, what: str) -> Callable[[float], None]:
        shown: list[UUID] = []

        def show(percent: float) -> None:
            if TaskRunContext.get() is None:
                return
            if shown:
                update_progress_artifact(artifact_id=shown[0], progress=percent)
            else:
                shown.append(create_progress_artifact(progress=percent, description=what))  # type: ignore[arg-type]  # it is no coroutine here

        return show

    def emit(
        self, event: str, resource: dict[str, str], payload: dict[str, str], *, apart: bool
    ) -> None:
        def leave() -> None:
            if apart:  # Prefect would keep nine rows of what else the run belongs to
                FlowRunContext.__var__.set(None)  # type: ignore[arg-type]  # it takes it for none
                TaskRunContext.__var__.set(None)  # type: ignore[arg-type]  # as it does this
            emit_event(event=event, resource=resource, payload=payload)

        copy_context().run(leave)

    def copies(self, instance: OdooInstance, *, on: bool) -> bool:
        if on:
            schedules.turn(instance, on=True)
        else:
            schedules.pause(instance)
        return True

    def idle(self, instances: Sequence[OdooInstance]) -> set[str]:
        return schedules.idle(instances)

    def links(
        self, instances: Collection[str], *, pressed: Collection[str]
    ) -> dict[str, dict[str, str]]:
        return schedules.links(instances, pressed=pressed)

    def ask(self, question: Question, *, attempt: int, wrong: str, minutes: float) -> Yes:
        return form.ask(question, attempt=attempt, wrong=wrong, minutes=minutes)


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Retry only what can heal by itself: a host that did not answer."""
    return heals(state.result(raise_on_failure=False))


class StepName(str):
    """The name of a step, in the language of whoever reads, once it has what it was given."""

    __slots__ = ()

    def format(self, *_: object, **given: object) -> str:
        return translated(str.format(self, **given))


@functools.cache
def _task(step: Step[..., Any]) -> Task[..., Any]:
    """A step as a task of Prefect's."""
    return Task(
        step.fn,
        task_run_name=StepName(step.title),
        retries=step.retries,
        retry_delay_seconds=terminal.RETRY_SECONDS,
        retry_condition_fn=is_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
