"""The deployments as Prefect has them, read in a few questions, and each made as it is wanted."""

import functools
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Interval

from blocks.names import Language
from deployments import forms
from deployments.wanted import BOARDS, Wanted
from tasks.orchestrator.dead_runs import HEARTBEAT_SECONDS
from tasks.orchestrator.schedules import read_deployments
from tasks.run.tags import ANY, MANAGED, SCHEDULED, tag

ROOT = Path(__file__).parents[1]
FORKED = Path(__file__).with_name("forked.py")
# -I and -S: it imports next to nothing, for it is what an outage waits for.
COMMAND = shlex.join((sys.executable, "-I", "-S", str(FORKED), "-m", "prefect.engine"))
# Flows that Relevo had, whose deployments would fail whenever they are due.
FORMER = {"follow_filestore"}


@dataclass(frozen=True)
class Deployed:
    """What Prefect has of ours, as it was when `apply` began."""

    client: SyncPrefectClient
    all: Sequence[DeploymentResponse]

    @functools.cached_property
    def _named(self) -> dict[tuple[str, str], DeploymentResponse]:
        return {(flow_of(each), each.name): each for each in self.all if MANAGED in each.tags}

    def find(self, flow: str, name: str) -> DeploymentResponse | None:
        return self._named.get((flow, name))

    def as_it_is(self, found: DeploymentResponse) -> DeploymentResponse:
        """Read one again: a failover may have paused it meanwhile."""
        return self.client.read_deployment(found.id)

    def goes(self, instance: str) -> bool:
        """Tell whether an instance is copied by schedule now."""
        wanted = {SCHEDULED, tag(instance)}
        copies = (each for each in self.all if wanted <= {*each.tags})
        return any(schedule.active for each in copies for schedule in each.schedules)

    @property
    def former(self) -> list[DeploymentResponse]:
        """Those of flows that are no more."""
        return [each for each in self.all if flow_of(each) in FORMER]


def read(client: SyncPrefectClient) -> Deployed:
    return Deployed(client, read_deployments(client, DeploymentFilterTags(any_=[MANAGED, ANY])))


def flow_of(deployment: DeploymentResponse) -> str:
    """Name the flow of a deployment, as its file is named."""
    return (deployment.entrypoint or "").rpartition(":")[2]


@functools.cache
def _flow(entrypoint: str) -> Flow[..., Any]:
    """Load a flow once: each of them has a deployment for each instance."""
    return cast("Flow[..., Any]", Flow.from_source(source=str(ROOT), entrypoint=entrypoint))


def deploy(
    wanted: Wanted, fixed: dict[str, Any], deployed: Deployed, pool: str, language: Language = "en"
) -> Iterator[str]:
    """Make one deployment as it is wanted; say so if that was a change."""
    flow = _flow(wanted.entrypoint)
    existing = deployed.find(wanted.flow, wanted.name)
    parameters, version = {**fixed, **wanted.parameters}, _version(wanted, flow, pool, language)
    if existing and existing.version == version and existing.parameters == parameters:
        return
    deployment = flow.to_deployment(
        name=wanted.name,
        parameters=parameters,
        tags=[MANAGED, *wanted.tags],
        version=version,
        schedules=_schedules(wanted, existing, deployed),
        concurrency_limit=_limit(wanted),
        work_pool_name=pool,
        work_queue_name=wanted.queue,
        job_variables={
            "command": COMMAND,
            "working_dir": str(ROOT),
            "env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)},
        },
    )
    made = cast("RunnerDeployment", deployment)
    forms.tell(made, language)
    made.apply(work_pool_name=pool)
    yield f"{'changed' if existing else 'created'} deployment {flow.name}/{wanted.name}"


def _version(wanted: Wanted, flow: Flow[..., Any], pool: str, language: Language) -> str:
    return wanted.fingerprint(
        pool,
        COMMAND,
        str(ROOT),
        flow.description or "",
        flow.parameters.model_dump_json(),
        *wanted.tags,
        *([language] if language != "en" else []),
    )


def _schedules(
    wanted: Wanted, existing: DeploymentResponse | None, deployed: Deployed
) -> list[Any]:
    """A new instance's schedules wait for `replicate`; an old one's stay as they are.

    A schedule that an old instance has not had yet is on where its others are.
    """
    if not wanted.every_seconds:
        return []
    if existing and existing.schedules:
        active = any(schedule.active for schedule in deployed.as_it_is(existing).schedules)
    else:
        active = wanted.always or deployed.goes(wanted.instance)
    schedule = Interval(
        wanted.interval, anchor_date=wanted.anchor, timezone="UTC", active=active, slug=wanted.flow
    )
    return [schedule]


def _limit(wanted: Wanted) -> ConcurrencyLimitConfig | None:
    """A copy that is late is skipped, not queued.

    A board is not limited so: Prefect counts its slots apart from the runs, and one that a killed
    server has not given back is free again only when a board has ended the run that had it.
    """
    if not wanted.every_seconds or wanted.queue == BOARDS:
        return None
    strategy = ConcurrencyLimitStrategy.CANCEL_NEW
    return ConcurrencyLimitConfig(limit=1, collision_strategy=strategy)
