"""The schedules of an instance: off while the recovery host serves, on while it follows.

A schedule that is on by mistake does no harm: each copy refuses by itself when roles do not fit.
"""

from collections.abc import Sequence
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
from prefect.states import Cancelling

from blocks.instance import OdooInstance
from tasks import bare, events, record, telling
from tasks.policy import log, step
from tasks.records import Schedules
from tasks.tags import SCHEDULED, tag

PAGE = 200
UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]


@step("pause the schedules of {instance.name}")
def pause(instance: OdooInstance) -> None:
    """Start no more copies of this instance, and cancel those that wait or run.

    A server that does not answer must not hold up a failover: the copies refuse by themselves.
    """
    if bare.alone():
        _later(instance, on=False)
        return
    telling.tell(instance.name, events.RESTING, f"the copies of {instance.name} are paused")
    try:
        with get_client(sync_client=True) as client:
            deployments = _switch(client, instance, on=False)
            for run in _under_way(client, [deployment.id for deployment in deployments]):
                client.set_flow_run_state(run, Cancelling(), force=True)
    except (httpx.HTTPError, RuntimeError) as error:
        log().warning("the schedules of %s could not be paused: %s", instance.name, error)


@step("resume the schedules of {instance.name}")
def resume(instance: OdooInstance) -> None:
    """Copy this instance's files by schedule again."""
    if bare.alone():
        _later(instance, on=True)
        return
    telling.tell(instance.name, events.AWAITED, f"the copies of {instance.name} run by schedule")
    with get_client(sync_client=True) as client:
        _switch(client, instance, on=True)


@step("find out whose schedules are off")
def idle(instances: Sequence[OdooInstance]) -> set[str]:
    """Name the instances whose copies no schedule runs, as far as a server knows."""
    if bare.alone():
        return set()
    with get_client(sync_client=True) as client:
        found = read_deployments(client, DeploymentFilterTags(all_=[SCHEDULED]))
    off = {
        mark
        for deployment in found
        for mark in deployment.tags
        if not any(schedule.active for schedule in deployment.schedules)
    }
    return {each.name for each in instances if tag(each.name) in off}


def _later(instance: OdooInstance, *, on: bool) -> None:
    """Leave word for the next check with a server; until then the copies judge for themselves."""
    record.write(instance.recovery, instance, Schedules(on=on))
    log().info("the schedules will be switched %s by the next check", "on" if on else "off")


@step("switch the schedules of {instance.name} as a run without a server left word")
def catch_up(instance: OdooInstance) -> None:
    """Do what a run without a server could not."""
    if (word := record.read(instance.recovery, instance, Schedules)) is None:
        return
    with get_client(sync_client=True) as client:
        _switch(client, instance, on=word.on)
    record.forget(instance.recovery, instance, Schedules)


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
            sort=DeploymentSort.NAME_ASC,
            limit=PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < PAGE:
            return found


def _under_way(client: SyncPrefectClient, deployments: list[UUID]) -> list[UUID]:
    if not deployments:
        return []
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=deployments),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)),
        ),
        sort=FlowRunSort.ID_DESC,
        limit=PAGE,
    )
    own = FlowRunContext.get()
    mine = own.flow_run.id if own and own.flow_run else None
    return [run.id for run in runs if run.id != mine]
