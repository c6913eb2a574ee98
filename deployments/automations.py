"""What follows an event: who is told, and which check runs. Automations, from the inventory.

The receivers stand among the secrets, for their addresses hold passwords:

    notify:
      duty: mailtos://user:password@mail.example.com?from=relevo@example.com&to=duty@example.com
      chat: https://chat.example.com/hook       # a POST with {"subject": ..., "body": ...}
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.types import SecretDict
from pydantic import SecretStr

from blocks.instance import OdooInstance
from deployments import server
from deployments.deployed import Deployed
from deployments.wanted import board_seconds
from tasks.language.reader import read_in, shown, translated
from tasks.notices import emitter, events
from tasks.run.report import slug
from tasks.run.tags import MOVES

PREFIX = "relevo: "
WHO = "{{ event.resource['relevo.instance'] or event.resource.id }}"
SUBJECT = "Relevo: %s: %s"
BODY = "{{ event.resource['relevo.said'] or event.resource.id }}"
SINCE = "{{ event.resource['relevo.at'] or event.occurred.strftime('%Y-%m-%d %H:%M') ~ ' UTC' }}"
NAME = "{{ event.resource['relevo.instance'] }}"
# The event is the last one that was good, or the one from which on copies were awaited.
SILENCE = (
    f"No copy of the files of {NAME} has succeeded since {SINCE}.\n\n"
    "What may be down: the origin's server, its PostgreSQL or its Odoo (then nobody can work), the "
    "recovery host, or Relevo's worker; or the schedules are off.\n\n"
    "Where to look: the runs of copies, which name each instance, and on the recovery host: relevo "
    f"check {NAME}"
)
NO_BOARD = (
    f"The readiness of no instance has been measured since {SINCE}, so nobody would be told of a "
    "fault.\n\n"
    "What may be down: Relevo's worker, or the schedule of board/all-instances is off.\n\n"
    "Where to look: systemctl status relevo-worker, and the runs of board/all-instances"
)
BOARDS_MISSED = 3
# What a run of a move has come to, and what that means to whoever is told.
RUN = "{{ event.resource.name }}"
SAID = "{{ event.resource['prefect.state-message'] | replace('<', '(') }}"
PAGE = "/v2/runs/flow-run/{{ event.resource.id | replace('prefect.flow-run.', '') }}"
ENDS = {
    "a plan waits for an approval": (
        ("Paused",),
        f"{RUN}: its plan waits for an approval. Nothing is done before; without one the run ends.",
    ),
    "a move has failed": (("Failed", "Crashed"), f"{RUN} has failed: {SAID}"),
}


def notify(
    client: SyncPrefectClient,
    instances: list[OdooInstance],
    receivers: dict[str, SecretStr],
    found: Deployed,
) -> Iterator[str]:
    """Make blocks and automations agree with the inventory; yield a sentence per change."""
    blocks: list[str] = []
    for name, url in receivers.items():
        document, changed = _receiver(name, url)
        blocks.append(document)
        if changed:
            yield f"{changed} receiver {name}"
    with read_in(instances[0].language if instances else "en"):
        told = list(_told(instances, blocks)) if blocks else []
    wanted = {each.name: each for each in (*told, *_checks(client, instances, found))}
    existing = {
        each.name: each for each in client.read_automations() if each.name.startswith(PREFIX)
    }
    for name, automation in wanted.items():
        before = existing.get(name)
        if before is None:
            client.create_automation(automation)
            yield f"created automation {name}"
        elif before.description != automation.description:
            kept = automation.model_copy(update={"enabled": before.enabled})
            client.update_automation(before.id, kept)
            yield f"changed automation {name}"
    for name in existing.keys() - wanted.keys():
        client.delete_automation(existing[name].id)
        yield f"removed automation {name}"


def _receiver(name: str, url: SecretStr) -> tuple[str, str]:
    """Save one receiver; return the id of its block, and whether that was a change."""
    full = f"relevo-{slug(name)}"
    kind = CustomWebhookNotificationBlock if _is_web(url) else SlackWebhook
    kind.register_type_and_schema()
    made = _web_hook(name, url) if _is_web(url) else SlackWebhook(url=url)
    try:
        saved: Any = kind.load(full)
    except ValueError:
        return str(made.save(full)), "created"
    if _address(saved) == _address(made):
        return str(saved._block_document_id), ""  # noqa: SLF001  # no other way
    return str(made.save(full, overwrite=True)), "changed"


def _is_web(url: SecretStr) -> bool:
    return url.get_secret_value().startswith(("http://", "https://"))


def _web_hook(name: str, url: SecretStr) -> CustomWebhookNotificationBlock:
    return CustomWebhookNotificationBlock(
        name=name,
        url="{{url}}",
        method="POST",
        json_data={"subject": "{{subject}}", "body": "{{body}}"},
        secrets=SecretDict({"url": url.get_secret_value()}),
    )


def _address(block: CustomWebhookNotificationBlock | SlackWebhook) -> object:
    if isinstance(block, SlackWebhook):
        return block.url.get_secret_value()
    return block.secrets.get_secret_value()


def _told(instances: list[OdooInstance], blocks: list[str]) -> Iterator[AutomationCore]:
    for event, face in events.FACES.items():
        yield _automation(face, _at_once("*", event), _notifications(face, blocks))
    for face, (states, body) in ENDS.items():
        page = f"{body}\n\nIts page: {server.ui()}{PAGE}"
        told = _notifications(face, blocks, who=RUN, body=page)
        yield _automation(face, _of_moves(*states), told)
    for minutes in sorted({each.alarms.sync_minutes for each in instances}):
        named = [each.name for each in instances if each.alarms.sync_minutes == minutes]
        face = f"no good copy of files for {minutes} minutes"
        # Absence of success: a copy that hangs, a worker that is dead, a schedule that is off.
        trigger = EventTrigger(
            match={"prefect.resource.id": [f"{emitter.RESOURCE}{name}" for name in named]},
            for_each={"prefect.resource.id"},
            after={events.SYNCED, events.AWAITED},
            expect={events.SYNCED, events.RESTING},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(minutes=minutes),
        )
        yield _automation(face, trigger, _notifications(face, blocks, body=SILENCE))
    yield _silence(instances, blocks)


def _silence(instances: Sequence[OdooInstance], blocks: list[str]) -> AutomationCore:
    """Tell when no board was published for some times that one was due."""
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{emitter.RESOURCE}{events.EVERYBODY}"},
        for_each={"prefect.resource.id"},
        after={events.BOARD},
        expect={events.BOARD},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=BOARDS_MISSED * board_seconds(instances)),
    )
    return _automation("no board", trigger, _notifications("no board", blocks, body=NO_BOARD))


def _checks(
    client: SyncPrefectClient, instances: list[OdooInstance], found: Deployed
) -> Iterator[AutomationCore]:
    """A fault of an instance also runs its check, where the inventory wants that.

    A change of place does not: what follows is no fault, and the check would fail all the while.
    """
    for instance in instances:
        if instance.alarms.run_check:
            known = found.find("check", instance.name)
            check = known or client.read_deployment_by_name(f"check/{instance.name}")
            yield _automation(
                f"check {instance.name}",
                _at_once(instance.name, *events.FAULTS),
                [RunDeployment(deployment_id=check.id)],
            )


def _at_once(instance: str, *names: str) -> EventTrigger:
    """As soon as one of these events is told of an instance, or of any."""
    return EventTrigger(
        match={"prefect.resource.id": f"{emitter.RESOURCE}{instance}"},
        for_each={"prefect.resource.id"},
        expect={emitter.PREFIX + name for name in names},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _of_moves(*states: str) -> EventTrigger:
    """As soon as a run of a move comes to one of these states."""
    return EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={
            "prefect.resource.id": f"prefect.tag.{MOVES}", "prefect.resource.role": "tag",
        },
        for_each={"prefect.resource.id"},
        expect={f"prefect.flow-run.{state}" for state in states},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )  # fmt: skip


def _notifications(
    face: str, blocks: list[str], *, who: str = WHO, body: str = BODY
) -> list[SendNotification]:
    """Tell each receiver, and where the board is."""
    linked = shown(f"{body}\n\nThe board: {server.board()}")
    return [
        SendNotification(
            block_document_id=block, subject=SUBJECT % (who, translated(face)), body=linked
        )
        for block in blocks
    ]


def _automation(
    face: str, trigger: EventTrigger, actions: Sequence[SendNotification | RunDeployment]
) -> AutomationCore:
    asked = [each.model_dump(mode="json") for each in actions]
    text = json.dumps(_ordered([trigger.model_dump(exclude={"id"}, mode="json"), asked]))
    mark = hashlib.sha256(text.encode()).hexdigest()[:12]
    return AutomationCore(
        name=PREFIX + face,
        description=f"Made by relevo apply ({mark}).",
        trigger=trigger,
        actions=list(actions),
    )


def _ordered(value: object) -> object:
    """Put what were sets into one order, so that equal definitions look equal.

    >>> _ordered({"b": ["y", "x"], "a": 1})
    {'a': 1, 'b': ['x', 'y']}
    """
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted((_ordered(each) for each in value), key=repr)
    return value
