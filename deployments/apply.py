"""Tell Prefect what the inventory says: blocks, work pool, deployments, schedules.

What is right already is left alone; a schedule that is paused stays paused.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Interval
from pydantic import BaseModel, HttpUrl, SecretStr, ValidationError

from blocks.host import Host
from blocks.instance import OdooInstance
from blocks.names import Language
from deployments import automations, forms, server
from deployments.wanted import BOARDS, PROCEDURES, SYNC, Wanted, everything
from tasks.orchestrator import schedules
from tasks.orchestrator.dead_runs import HEARTBEAT_SECONDS
from tasks.orchestrator.schedules import read_deployments
from tasks.run.outcome import Outcome
from tasks.run.report import slug
from tasks.run.tags import MANAGED, OWNER, SCHEDULED, tag

ROOT = Path(__file__).parents[1]
FORKED = Path(__file__).with_name("forked.py")
# -I and -S: it imports next to nothing, for it is what an outage waits for.
COMMAND = shlex.join((sys.executable, "-I", "-S", str(FORKED), "-m", "prefect.engine"))
PRIORITY = {PROCEDURES: 1, BOARDS: 5, SYNC: 10}
# Counted by Prefect among the runs themselves. One that died while it was pending is found by the
# next board, for which there is room.
AT_ONCE = {BOARDS: 3}


def apply(
    instances: list[OdooInstance], receivers: dict[str, SecretStr], *, pool: str, prune: bool
) -> Iterator[Outcome]:
    """Make Prefect agree with the inventory; yield each change, and what waits for `prune`."""
    for block in (Host, OdooInstance):
        block._logo_url = _logo()  # noqa: SLF001  # where Prefect looks for it
        block.register_type_and_schema()
    with get_client(sync_client=True) as client:
        for sentence in _changes(client, instances, receivers, pool):
            yield Outcome(done=True, sentence=sentence)
        for sentence in _strangers(client, instances, prune=prune):
            yield Outcome(done=prune, sentence=sentence)


def _changes(
    client: SyncPrefectClient,
    instances: list[OdooInstance],
    receivers: dict[str, SecretStr],
    pool: str,
) -> Iterator[str]:
    yield from _pool(client, pool)
    documents: dict[str, dict[str, Any]] = {}
    for instance in instances:
        yield from _block(instance)
        document = str(_load(instance.name)._block_document_id)  # noqa: SLF001  # no other way
        documents[instance.name] = _chosen(document)
    language = instances[0].language if instances else "en"
    for wanted in everything(instances):
        fixed = documents.get(wanted.instance, {})
        yield from _deployment(client, wanted, fixed, pool, language)
    yield from automations.notify(client, instances, receivers)


def _chosen(document: str) -> dict[str, Any]:
    """Give a saved instance to a flow, in the way that a form shows as chosen.

    >>> _chosen("6f1c")
    {'instance': {'$ref': {'block_document_id': '6f1c'}}}
    """
    return {"instance": {"$ref": {"block_document_id": document}}}


def _logo() -> HttpUrl:
    """A picture for the forms, which would show a broken one; the server's own, so no Internet."""
    return HttpUrl(f"{server.ui()}/v2/ico/android-chrome-192x192.png")


def _pool(client: SyncPrefectClient, pool: str) -> Iterator[str]:
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        yield f"created work pool {pool}"
    for queue, priority in PRIORITY.items():
        try:
            client.read_work_queue_by_name(queue, work_pool_name=pool)
        except ObjectNotFound:
            client.create_work_queue(
                queue, priority=priority, concurrency_limit=AT_ONCE.get(queue), work_pool_name=pool
            )
            yield f"created work queue {queue}"


def _load(name: str) -> OdooInstance:
    # Prefect's types promise a coroutine as well, which it returns to asynchronous callers only.
    return cast("OdooInstance", OdooInstance.load(slug(name)))


def _block(instance: OdooInstance) -> Iterator[str]:
    name = slug(instance.name)
    saved = _saved(instance.name)
    if saved is None:
        instance.save(name)
        yield f"created instance {instance.name}"
    elif saved != (wanted := _fields(instance)):
        instance.save(name, overwrite=True)
        yield f"changed instance {instance.name}: {', '.join(_differences(saved, wanted))}"


def _saved(name: str) -> dict[str, Any] | None:
    try:
        return _fields(_load(name))
    except (ValidationError, RuntimeError):
        return {}  # saved by an older Relevo whose fields were others: differs from anything
    except ValueError:
        return None


def is_saved(name: str) -> bool:
    """Tell whether Prefect knows an instance already."""
    return _saved(name) is not None


def _fields(instance: OdooInstance) -> dict[str, Any]:
    """The fields of an instance, without those that Prefect adds to every block."""
    return {
        name: getattr(instance, name).model_dump(exclude={"host": {"block_type_slug"}})
        if isinstance(getattr(instance, name), BaseModel)
        else getattr(instance, name)
        for name in OdooInstance.model_fields
    }


def _differences(old: object, new: object, path: str = "") -> Iterator[str]:
    """Name the fields that differ, and never their values.

    >>> list(_differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}))
    ['a.b']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif old != new:
        yield path


def _deployment(
    client: SyncPrefectClient,
    wanted: Wanted,
    fixed: dict[str, Any],
    pool: str,
    language: Language = "en",
) -> Iterator[str]:
    found = Flow.from_source(source=str(ROOT), entrypoint=wanted.entrypoint)
    flow = cast("Flow[..., Any]", found)
    full = f"{flow.name}/{wanted.name}"
    existing = _existing(client, full)
    parameters = {**fixed, **wanted.parameters}
    form = flow.parameters.model_dump_json()
    version = wanted.fingerprint(
        pool,
        COMMAND,
        str(ROOT),
        flow.description or "",
        form,
        *wanted.tags,
        *([language] if language != "en" else []),
    )
    if existing and existing.version == version and existing.parameters == parameters:
        return
    deployment = flow.to_deployment(
        name=wanted.name,
        parameters=parameters,
        tags=[MANAGED, *wanted.tags],
        version=version,
        schedules=_schedules(client, wanted, existing),
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
    yield f"{'changed' if existing else 'created'} deployment {full}"


def _existing(client: SyncPrefectClient, full: str) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(full)
    except ObjectNotFound:
        return None


def _schedules(
    client: SyncPrefectClient, wanted: Wanted, existing: DeploymentResponse | None
) -> list[Any]:
    """A new instance's schedules wait for `replicate`; an old one's stay as they are.

    A schedule that an old instance has not had yet is on where its others are.
    """
    if not wanted.every_seconds:
        return []
    if existing and existing.schedules:
        active = any(schedule.active for schedule in existing.schedules)
    else:
        active = wanted.always or _goes(client, wanted)
    schedule = Interval(
        wanted.interval, anchor_date=wanted.anchor, timezone="UTC", active=active, slug=wanted.flow
    )
    return [schedule]


def _goes(client: SyncPrefectClient, wanted: Wanted) -> bool:
    """Tell whether an instance is copied by schedule now."""
    copies = DeploymentFilterTags(all_=[SCHEDULED, tag(wanted.instance)])
    found = read_deployments(client, copies)
    return any(schedule.active for each in found for schedule in each.schedules)


def _limit(wanted: Wanted) -> ConcurrencyLimitConfig | None:
    """A copy that is late is skipped, not queued.

    A board is not limited so: Prefect counts its slots apart from the runs, and one that a killed
    server has not given back is free again only when a board has ended the run that had it.
    """
    if not wanted.every_seconds or wanted.queue == BOARDS:
        return None
    strategy = ConcurrencyLimitStrategy.CANCEL_NEW
    return ConcurrencyLimitConfig(limit=1, collision_strategy=strategy)


def forget(name: str) -> Iterator[str]:
    """Take one instance out of Prefect: its deployments, their schedules and what they are given.

    The history of its runs stays.
    """
    with get_client(sync_client=True) as client:
        found = read_deployments(client, DeploymentFilterTags(all_=[MANAGED, tag(name)]))
        schedules.end(client, [each.id for each in found])
        for deployment in found:
            client.delete_deployment(deployment.id)
            yield f"removed deployment {deployment.name}"
        try:
            document = client.read_block_document_by_name(slug(name), "odoo-instance")
        except ObjectNotFound:
            return
        client.delete_block_document(document.id)
        yield f"removed instance {name}"


def _strangers(
    client: SyncPrefectClient, instances: list[OdooInstance], *, prune: bool
) -> Iterator[str]:
    """Report what belongs to instances that the inventory does not know; remove it if told to."""
    known = {(wanted.name, wanted.instance) for wanted in everything(instances)}
    for deployment in read_deployments(client, DeploymentFilterTags(all_=[MANAGED])):
        owner = next((t.removeprefix(OWNER) for t in deployment.tags if t.startswith(OWNER)), "")
        if (deployment.name, owner) in known:
            continue
        if prune:
            schedules.end(client, [deployment.id])
            client.delete_deployment(deployment.id)
        yield f"{'removed' if prune else 'not in the inventory:'} deployment {deployment.name}"
    names = {slug(instance.name) for instance in instances}
    for document in client.read_block_documents_by_type("odoo-instance"):
        if document.name is None or document.name in names:
            continue
        if prune:
            client.delete_block_document(document.id)
        yield f"{'removed' if prune else 'not in the inventory:'} instance {document.name}"
