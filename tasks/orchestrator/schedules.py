"""The schedules of the instances, as a Prefect server has them."""

import json
import time
from collections.abc import Collection, Sequence
from urllib.parse import quote
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import DeploymentSort, FlowRunSort
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Cancelling

from blocks.instance import OdooInstance
from tasks.run.step import log
from tasks.run.tags import BUTTONS, MANAGED, SCHEDULED, host_tag, tag

PAGE = 200
UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]
UNENDED = [*UNDER_WAY, StateType.CANCELLING, StateType.PAUSED]
END_SECONDS = 15  # in which a worker ends the process of a run


def pause(instance: OdooInstance) -> None:
    """Start no more copies, and cancel those that wait or run; a silent server holds up nothing."""
    try:
        with get_client(sync_client=True) as client:
            deployments = _switch(client, instance, on=False)
            for run in _under_way(client, [deployment.id for deployment in deployments]):
                client.set_flow_run_state(run, Cancelling(), force=True)
    except (httpx.HTTPError, RuntimeError) as error:
        log().warning("the schedules of %s could not be paused: %s", instance.name, error)


def end(client: SyncPrefectClient, deployments: list[UUID]) -> None:
    """End what runs of deployments that are about to go.

    With its deployment a run loses the limit that it has a slot of, and the server then takes no
    state of it any more (RuntimeError, HTTP 500) until its lease is over: boards would fail on it.
    """
    for run in _under_way(client, deployments):
        client.set_flow_run_state(run, Cancelling(), force=True)
    deadline = time.monotonic() + END_SECONDS
    while (left := _under_way(client, deployments, UNENDED)) and time.monotonic() < deadline:
        time.sleep(0.5)
    for run in left:
        client.set_flow_run_state(run, Cancelled(), force=True)


def turn(instance: OdooInstance, *, on: bool) -> None:
    """Switch the schedules, and leave what runs alone."""
    with get_client(sync_client=True) as client:
        _switch(client, instance, on=on)


def idle(instances: Sequence[OdooInstance]) -> set[str]:
    """Name the instances whose copies no schedule runs: one of their own, or their host's round."""
    with get_client(sync_client=True) as client:
        found = read_deployments(client, DeploymentFilterTags(all_=[SCHEDULED]))
    off = {
        mark
        for deployment in found
        for mark in deployment.tags
        if not any(schedule.active for schedule in deployment.schedules)
    }
    marks = {each.name: {tag(each.name), host_tag(each.recovery.host.name)} for each in instances}
    return {name for name, its in marks.items() if its & off}


def links(instances: Collection[str], *, pressed: Collection[str]) -> dict[str, dict[str, str]]:
    """The page of all buttons of each instance, as "", and of each of the `pressed` ones, by flow.

    A deployment is 17 kB, most of which is its form: no more of them are read than are shown.
    """
    pages = {name: {"": list_of(name)} for name in instances}
    if not pressed:
        return pages
    with get_client(sync_client=True) as client:
        wanted = DeploymentFilterTags(any_=[tag(name) for name in sorted(pressed)])
        found = read_deployments(client, wanted)
    for each in found:
        if each.entrypoint and each.name in pages and MANAGED in each.tags:
            flow = each.entrypoint.rpartition(":")[2].replace("_", "-")
            pages[each.name][flow] = f"{BUTTONS}{each.id}"
    return pages


def list_of(instance: str) -> str:
    """The page of all buttons of an instance within the UI."""
    return f"/v2/deployments?tags={quote(all_of(instance))}"


def all_of(instance: str) -> str:
    """The tags of the buttons that move an instance, as the UI's address has them.

    >>> all_of("vps_1")
    '["instance:vps_1"]'
    """
    return json.dumps([tag(instance)])


def _switch(
    client: SyncPrefectClient, instance: OdooInstance, *, on: bool
) -> list[DeploymentResponse]:
    wanted = DeploymentFilterTags(all_=[SCHEDULED, tag(instance.name)])
    deployments = read_deployments(client, wanted)
    for deployment in deployments:
        for schedule in deployment.schedules:
            if schedule.active != on:
                client.update_deployment_schedule(deployment.id, schedule.id, active=on)
    if not deployments:
        log().info("no schedules of %s are known to Prefect", instance.name)
    return deployments


def read_deployments(
    client: SyncPrefectClient, tags: DeploymentFilterTags
) -> list[DeploymentResponse]:
    """Read every deployment with these tags, however many pages that takes."""
    found: list[DeploymentResponse] = []
    while True:
        page = client.read_deployments(
            deployment_filter=DeploymentFilter(tags=tags),
            sort=DeploymentSort.CREATED_DESC,  # of a name there are many: their order may change
            limit=PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < PAGE:
            return found


def _under_way(
    client: SyncPrefectClient, deployments: list[UUID], states: list[StateType] = UNDER_WAY
) -> list[UUID]:
    if not deployments:
        return []
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=deployments),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)),
        ),
        sort=FlowRunSort.ID_DESC,
        limit=PAGE,
    )
    own = FlowRunContext.get()
    mine = own.flow_run.id if own and own.flow_run else None
    return [run.id for run in runs if run.id != mine]
