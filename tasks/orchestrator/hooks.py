"""What Prefect calls when a run has ended, in the process that has ended it."""

import re

import httpx
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.logging.loggers import flow_run_logger

from blocks.errors import Busy, Refused
from tasks.language.reader import read_in, shown, translated
from tasks.notices import emitter, events
from tasks.plan import aftermath, aftermath_read
from tasks.run import terminal
from tasks.run.report import slug
from tasks.run.tags import BUTTONS, OWNER

ENDED = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED]


def say_aftermath(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Say in the log of a cancelled run how things are, and what to press next."""
    del state
    log = flow_run_logger(flow_run, flow)
    instance = flow.validate_parameters(flow_run.parameters)["instance"]
    with terminal.without_server():
        found = aftermath.measure(instance, flow.name)
    log.warning("%s\nHINT: %s", found.sentence(), found.hint())


def say_failed(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Say what failed, what is kept and what to press, beside the run's other pages."""
    instance = flow.validate_parameters(flow_run.parameters)["instance"]
    with terminal.without_server():
        found = aftermath.measure(instance, flow.name, ended="has failed")
        lock = aftermath.lock_sentence(instance)
        approved = aftermath.approved(instance, str(flow_run.id))
    button = flow_run.deployment_id
    text = aftermath_read.page(
        found, why=state.message or "", button=f"{BUTTONS}{button}" if button else "", lock=lock,
        approved=approved,
    )  # fmt: skip
    with read_in(instance.language):
        page = ArtifactCreate(
            key=slug(f"failed-{flow.name}-{instance.name}"), type="markdown", data=shown(text),
            description=translated(found.sentence()), flow_run_id=flow_run.id,
        )  # fmt: skip
    with get_client(sync_client=True) as client:
        client.create_artifact(page)


def tell_refused(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Tell, once, of a copy that refused to go on, which will not heal by itself."""
    error = state.result(raise_on_failure=False)
    if not isinstance(error, Refused) or isinstance(error, Busy):
        return
    if alike(state.message or "", last_words(flow_run)):
        return
    instance = flow.validate_parameters(flow_run.parameters).get("instance")
    for tag in flow_run.tags:
        if tag.startswith(OWNER):
            with read_in(instance.language if instance else "en"):
                emitter.emit(tag.removeprefix(OWNER), events.REFUSED, error.message)


def last_words(flow_run: FlowRun) -> str:
    """What the run before this one of the same deployment ended with."""
    if flow_run.deployment_id is None:
        return ""
    try:
        with get_client(sync_client=True) as client:
            before = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    id=FlowRunFilterId(not_any_=[flow_run.id]),
                    deployment_id=FlowRunFilterDeploymentId(any_=[flow_run.deployment_id]),
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=ENDED)),
                ),
                sort=FlowRunSort.END_TIME_DESC,
                limit=1,
            )
    except (httpx.HTTPError, RuntimeError):
        return ""  # told twice is better than never
    return (before[0].state.message or "") if before and before[0].state else ""


def alike(sentence: str, before: str) -> bool:
    """Tell whether two sentences are the same but for their figures.

    >>> alike("12 of 40 files are gone", "13 of 41 files are gone")
    True
    >>> alike("12 of 40 files are gone", "the folder is not mounted"), alike("gone", "")
    (False, False)
    """
    return re.sub(r"\d+", "0", sentence) == re.sub(r"\d+", "0", before)
