"""The rounds over the instances of a recovery host, as far as a Prefect server knows of them."""

from collections.abc import Sequence
from dataclasses import replace

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilterTags
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound

from blocks.instance import OdooInstance
from tasks.orchestrator import hooks
from tasks.orchestrator.schedules import read_deployments
from tasks.rounds.words import Pass
from tasks.run.step import log
from tasks.run.tags import BY_SCHEDULE, SWITCH, tag


def off(instances: Sequence[OdooInstance]) -> set[str]:
    """Name the instances whose copies are paused: their switch is off, or not there yet.

    The switch is the schedule of the instance's own rsync-filestore, which starts nothing itself.
    """
    with get_client(sync_client=True) as client:
        found = read_deployments(client, DeploymentFilterTags(all_=[SWITCH]))
    on = {
        mark
        for each in found
        for mark in each.tags
        if any(schedule.active for schedule in each.schedules)
    }
    return {each.name for each in instances if tag(each.name) not in on}


def said_before(passes: Sequence[Pass]) -> str:
    """What the round before this one ended with, where that matters."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or not any(each.refused for each in passes):
        return ""
    return hooks.last_words(context.flow_run)


def go_on_alone(passes: Sequence[Pass]) -> list[Pass]:
    """Start the own rsync-filestore of each instance that had too much to copy for a round.

    Give the passes as they are then: one that could not be started has failed, with the reason.
    """
    if not any(each.ended == "slow" for each in passes):
        return [*passes]
    with get_client(sync_client=True) as client:
        return [_alone(client, each) if each.ended == "slow" else each for each in passes]


def _alone(client: SyncPrefectClient, went: Pass) -> Pass:
    name = went.instance
    try:
        button = client.read_deployment_by_name(f"rsync-filestore/{name}")
        client.create_flow_run_from_deployment(button.id, tags=[*button.tags, BY_SCHEDULE])
    except (ObjectNotFound, httpx.HTTPError) as error:  # it may have been removed a moment ago
        said = f"it has much to copy, and rsync-filestore/{name} could not be started: {error}"
        return replace(went, ended="failed", said=said, hint=f"start rsync-filestore/{name}")
    log().info("%s has much to copy: it goes on in rsync-filestore/%s", name, name)
    return went
