"""What happened, as events of Prefect: automations turn them into notifications.

A run without a server tells nobody; the next board sees what it did, and tells.
"""

import re
import time
from dataclasses import replace

import httpx
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort

from blocks.errors import Busy, Refused
from blocks.instance import OdooInstance, Place
from tasks import bare, record
from tasks.filestore import Kind
from tasks.policy import step
from tasks.records import Synced, Told
from tasks.tags import OWNER
from tasks.telling import tell

SYNCED, RESTING, AWAITED = "relevo.sync.succeeded", "relevo.sync.resting", "relevo.sync.awaited"
BOARD, EVERYBODY = "relevo.board.published", "all-instances"
SERVED = "served-elsewhere"
FACES = {
    SERVED: "another place serves the customers",
    "two-writers": "BOTH servers accept writes",
    "not-served": "nobody can work",
    "lag": "the standby lags behind",
    "slot-lost": "the replication slot is lost",
    "not-synchronous": "commits do not wait for the recovery host",
    "filestore-refused": "a copy of files was refused",
    "origin-returned": "the origin answers again after a failover",
}

ENDED = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED]
FAULTS = ("lag", "slot-lost", "filestore-refused")


@step("tell that {place} serves {instance.name}")
def tell_served(instance: OdooInstance, place: Place) -> None:
    """Tell of a change of place, once."""
    kept = record.read(instance.recovery, instance, Told) or Told()
    if bare.alone():
        return
    if kept.served != place.kind:
        tell(instance.name, SERVED, f"{instance.name} is served from {place} now")
    if place.kind == "recovery":
        tell(instance.name, RESTING, "the recovery host serves")
    # What was seen before the change was otherwise.
    after = replace(kept, served=place.kind, at=time.time(), seen=())
    record.write(instance.recovery, instance, after)


@step("note the copy of the {kind} of {instance.name}")
def tell_synced(instance: OdooInstance, kind: Kind) -> None:
    """Note a good copy, and reset the dead-man's switch."""
    if kind == "filestore":
        record.stamp(instance.recovery, instance, Synced)
        tell(instance.name, SYNCED, f"the files of {instance.name} are copied")


@step("note that a board was published")
def tell_board() -> None:
    """Reset the dead-man's switch of the boards themselves."""
    tell(EVERYBODY, BOARD, "the readiness of all instances was measured")


def tell_refused(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Tell, once, of a copy that refused to go on, which will not heal by itself."""
    del flow
    error = state.result(raise_on_failure=False)
    if not isinstance(error, Refused) or isinstance(error, Busy):
        return
    if alike(state.message or "", _last_words(flow_run)):
        return
    for tag in flow_run.tags:
        if tag.startswith(OWNER):
            tell(tag.removeprefix(OWNER), "filestore-refused", error.message)


def _last_words(flow_run: FlowRun) -> str:
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


def alike(said: str, before: str) -> bool:
    """Tell whether two sentences are the same but for their figures.

    >>> alike("12 of 40 files are gone", "13 of 41 files are gone")
    True
    >>> alike("12 of 40 files are gone", "the folder is not mounted"), alike("gone", "")
    (False, False)
    """
    return re.sub(r"\d+", "0", said) == re.sub(r"\d+", "0", before)
