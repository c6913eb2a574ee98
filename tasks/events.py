"""What happened, as events of Prefect: automations turn them into notifications.

A run without a server tells nobody; the next board sees what it did, and tells.
"""

from datetime import UTC, datetime

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State

from blocks.errors import Busy, Refused
from blocks.instance import OdooInstance, Place
from tasks import bare, record
from tasks.filestore import Kind
from tasks.policy import step
from tasks.tags import OWNER
from tasks.telling import tell

SYNCED, RESTING, AWAITED = "relevo.sync.succeeded", "relevo.sync.resting", "relevo.sync.awaited"
SERVED = "served-elsewhere"
FACES = {
    SERVED: "another place serves the customers",
    "lag": "the standby lags behind",
    "slot-lost": "the replication slot is lost",
    "not-synchronous": "commits do not wait for the recovery host",
    "filestore-refused": "a copy of files was refused",
    "origin-returned": "the origin answers again after a failover",
}

FAULTS = ("lag", "slot-lost", "filestore-refused")


@step("tell that {place} serves {instance.name}")
def tell_served(instance: OdooInstance, place: Place) -> None:
    """Tell of a change of place, once."""
    kept = record.read(instance.recovery, instance, "notes/told") or {}
    if bare.alone():
        return
    if kept.get("served") != place.kind:
        tell(instance.name, SERVED, f"{instance.name} is served from {place} now")
    facts = {**kept, "served": place.kind, "at": datetime.now(UTC).timestamp()}
    record.write(instance.recovery, instance, "notes/told", facts)


@step("note the copy of the {kind} of {instance.name}")
def tell_synced(instance: OdooInstance, kind: Kind) -> None:
    """Note a good copy, and reset the dead-man's switch."""
    if kind == "filestore":
        record.stamp(instance.recovery, instance, "notes/synced")
        tell(instance.name, SYNCED, f"the files of {instance.name} are copied")


def tell_refused(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Tell of a copy that refused to go on, which will not heal by itself."""
    del flow
    error = state.result(raise_on_failure=False)
    if isinstance(error, Refused) and not isinstance(error, Busy):
        for tag in flow_run.tags:
            if tag.startswith(OWNER):
                tell(tag.removeprefix(OWNER), "filestore-refused", error.message)
