"""Tell Prefect what the inventory says: blocks, work pool, deployments, schedules.

What is right already is left alone; a schedule that is paused stays paused.
"""

from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilterTags
from prefect.client.schemas.objects import BlockDocument
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, HttpUrl, SecretStr

from blocks.errors import Refused
from blocks.host import Host
from blocks.instance import OdooInstance
from deployments import automations, deployed, server
from deployments.deployed import Deployed
from deployments.wanted import BOARDS, PROCEDURES, SYNC, everything
from tasks.orchestrator import instances as saved_instances
from tasks.orchestrator import schedules
from tasks.orchestrator.schedules import read_deployments
from tasks.run.outcome import Outcome
from tasks.run.report import slug
from tasks.run.tags import MANAGED, OWNER, tag

INSTANCE = "odoo-instance"
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
        found = deployed.read(client)
        for sentence in _changes(client, instances, receivers, pool, found):
            yield Outcome(done=True, sentence=sentence)
        for sentence in _strangers(client, instances, found, prune=prune):
            yield Outcome(done=prune, sentence=sentence)


def _changes(
    client: SyncPrefectClient,
    instances: list[OdooInstance],
    receivers: dict[str, SecretStr],
    pool: str,
    found: Deployed,
) -> Iterator[str]:
    yield from _pool(client, pool)
    saved = {each.name: each for each in client.read_block_documents_by_type(INSTANCE)}
    for instance in instances:
        yield from _block(instance, saved.get(slug(instance.name)))
    documents = {each.name: each.id for each in client.read_block_documents_by_type(INSTANCE)}
    language = instances[0].language if instances else "en"
    for wanted in everything(instances):
        fixed = _chosen(str(documents[slug(wanted.instance)])) if wanted.instance else {}
        yield from deployed.deploy(wanted, fixed, found, pool, language)
    yield from _end(client, found.former)
    yield from automations.notify(client, instances, receivers, found)


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


def _block(instance: OdooInstance, document: BlockDocument | None) -> Iterator[str]:
    name = slug(instance.name)
    if document is None:
        instance.save(name)
        yield f"created instance {instance.name}"
    elif (saved := _saved(document)) != (wanted := _fields(instance)):
        instance.save(name, overwrite=True)
        yield f"changed instance {instance.name}: {', '.join(_differences(saved, wanted))}"


def _saved(document: BlockDocument) -> dict[str, Any]:
    try:
        return _fields(saved_instances.understood(document))
    except Refused:
        return {}  # saved by an older Relevo whose fields were others: differs from anything


def is_saved(name: str) -> bool:
    """Tell whether Prefect knows an instance already."""
    with get_client(sync_client=True) as client:
        try:
            client.read_block_document_by_name(slug(name), INSTANCE)
        except ObjectNotFound:
            return False
    return True


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


def forget(name: str) -> Iterator[str]:
    """Take one instance out of Prefect: its deployments, their schedules and what they are given.

    The history of its runs stays.
    """
    with get_client(sync_client=True) as client:
        found = read_deployments(client, DeploymentFilterTags(all_=[MANAGED, tag(name)]))
        yield from _end(client, found)
        try:
            document = client.read_block_document_by_name(slug(name), INSTANCE)
        except ObjectNotFound:
            return
        client.delete_block_document(document.id)
        yield f"removed instance {name}"


def _end(client: SyncPrefectClient, gone: list[DeploymentResponse]) -> Iterator[str]:
    """Remove deployments, and end what runs of them."""
    schedules.end(client, [each.id for each in gone])
    for deployment in gone:
        client.delete_deployment(deployment.id)
        yield f"removed deployment {deployment.name}"


def _strangers(
    client: SyncPrefectClient, instances: list[OdooInstance], found: Deployed, *, prune: bool
) -> Iterator[str]:
    """Report what belongs to instances that the inventory does not know; remove it if told to."""
    known = {(wanted.name, wanted.instance) for wanted in everything(instances)}
    former = {each.id for each in found.former}
    for deployment in found.all:
        owner = next((t.removeprefix(OWNER) for t in deployment.tags if t.startswith(OWNER)), "")
        is_ours = MANAGED in deployment.tags and deployment.id not in former
        if not is_ours or (deployment.name, owner) in known:
            continue
        if prune:
            schedules.end(client, [deployment.id])
            client.delete_deployment(deployment.id)
        yield f"{'removed' if prune else 'not in the inventory:'} deployment {deployment.name}"
    names = {slug(instance.name) for instance in instances}
    for document in client.read_block_documents_by_type(INSTANCE):
        if document.name is None or document.name in names:
            continue
        if prune:
            client.delete_block_document(document.id)
        yield f"{'removed' if prune else 'not in the inventory:'} instance {document.name}"
