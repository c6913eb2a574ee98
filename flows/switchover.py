"""A planned move, either way."""

from typing import Literal

from blocks.instance import OdooInstance, Place
from flows import build_service, rsync_filestore
from flows.failback import hand_over, restore_replication
from flows.pg_rewind import bring_back
from flows.promote import promote_recovery
from tasks.authority import handover, keys, stage
from tasks.filestore import documents
from tasks.host import durable, lock
from tasks.notices import events, reports, schedules
from tasks.odoo import service
from tasks.odoo.service import Served
from tasks.plan import aftermath, approval
from tasks.plan.approval import WAIT_MINUTES, Decide, Decision, Minutes
from tasks.records import records
from tasks.recovery import settling
from tasks.recovery.procedure import flow
from tasks.run.document import Document
from tasks.run.outcome import Outcome
from tasks.run.report import Report
from tasks.run.timing import Stopwatch
from tasks.serving import dns, site

NEXT = {"recovery": "run switchover to the origin when it is time", "origin": "nothing"}


@flow(name="switchover", flow_run_name="switch {instance.name} over to the {to}",
      on_cancellation=[aftermath.say], on_failure=[aftermath.say_failed])  # fmt: skip
def switchover(
    instance: OdooInstance,
    *,
    to: Literal["origin", "recovery"] = "recovery",
    decide: Decide = "ask",
    reason: str = "",
    approved_by: str = "",
    wait_minutes: Minutes = WAIT_MINUTES,
) -> Report:
    """Move an instance's customers to the other server and lose nothing, or refuse.

    Before: both servers are up, and the one that will serve follows the other.
    The run shows its plan, and starts only after you type the instance name, a reason and your
    name. What changed at the origin's Odoo since the last copy (modules, packages, settings) is
    copied to the recovery host and tested first, while customers work.
    After: `to` serves, and the other follows it. It is never forced: failover is for that.

    Args:
        instance: The instance to move.
        to: The place that will serve it.
        decide: "ask" shows the plan and waits for an approval. "plan only" changes nothing.
            Scripts may set "unattended", which the form does not offer: it asks nobody.
        reason: Why. The report keeps it.
        approved_by: Who approves it, for unattended runs.
        wait_minutes: How long the plan waits for an approval. Then the run ends, with nothing
            changed.
    """
    instance = settling.finish(instance, plan_only=decide == "plan only")
    old_primary, new_primary = handover.sides(instance, to)
    decided = approval.obtain(
        instance, handover.procedure(new_primary), decide,
        reason=reason, approved_by=approved_by, wait_minutes=wait_minutes,
    )  # fmt: skip
    if not decided.approved:
        return decided.report

    with lock.held(instance, "switchover", preempt=True):
        keys.require_known(instance)
        start_fallen_primary(instance, old_primary)
        handover.require_lossless(instance, old_primary, new_primary)
        bring_along(instance, new_primary)
        with Stopwatch(from_now=True) as down:
            give(instance, new_primary, reason=decided.signed)
            service.start(new_primary)
            schedules.pause(instance)  # Odoo starts; until now the copies refuse by themselves
            served = service.wait_until_serving(new_primary)
        note_served(instance, new_primary, down)
        pointed, shown = show(instance, new_primary)
        follow(instance, new_primary)
        missing = documents.find_missing(instance, new_primary)
        events.tell_served(instance, new_primary)

    report = write_report(
        instance, new_primary, decided, served, down=down, pointed=pointed, missing=missing
    )
    service.require_whole(instance, new_primary, served.outcome, shown, pointed)
    return report


def start_fallen_primary(instance: OdooInstance, old_primary: Place) -> None:
    if old_primary.kind == "recovery":
        stage.start_fallen_primary(instance)


def bring_along(instance: OdooInstance, new_primary: Place) -> None:
    if new_primary.kind == "recovery" and not handover.has_begun(instance, new_primary):
        rsync_filestore.copy(instance, "sources")
        rsync_filestore.copy(instance, "requirements")
        build_service.build(instance)


def give(instance: OdooInstance, new_primary: Place, *, reason: str) -> None:
    if new_primary.kind == "recovery":
        promote_recovery(instance, origin_is_down=False, reason=reason)
    elif stage.find(instance) != "home":
        hand_over(instance, reason=reason)


def note_served(instance: OdooInstance, new_primary: Place, down: Stopwatch) -> None:
    if new_primary.kind == "recovery":
        records.note_served(instance, down)


def show(instance: OdooInstance, new_primary: Place) -> tuple[Outcome, Outcome]:
    if new_primary.kind == "recovery":
        shown = site.enable(instance)
        return dns.point(instance, new_primary), shown
    pointed = dns.point(instance, new_primary)
    return pointed, site.disable(instance)


def follow(instance: OdooInstance, new_primary: Place) -> None:
    if new_primary.kind == "recovery":
        bring_back(instance, reclone=False)
        for place in (instance.origin, instance.recovery):
            durable.sync(place)
    else:
        restore_replication(instance)


def write_report(
    instance: OdooInstance,
    new_primary: Place,
    decided: Decision,
    served: Served,
    *,
    down: Stopwatch,
    pointed: Outcome,
    missing: list[Document],
) -> Report:
    facts = {
        "lost": f"nothing: {new_primary} held the shutdown checkpoint before it was promoted",
        "next": NEXT[new_primary.kind],
        "databases that answer": str(served),
        "seconds of downtime": down.seconds,
        "domains": pointed.sentence,
        **decided.facts,
    }
    old_primary = instance.opposite(new_primary)
    title = f"{instance.name} is served from {new_primary}, and {old_primary} follows"
    return reports.hand_in(instance, "switchover", Report(title, facts, documents=missing))
