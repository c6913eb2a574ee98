"""Runbook: "Failback" to "Pasos finales"."""

from blocks.instance import OdooInstance
from flows.pg_rewind import bring_back
from tasks.authority import demotion, exposure, fence, keys, stage
from tasks.filestore import copies, documents, judgement
from tasks.host import durable, lock
from tasks.notices import events, reports, schedules
from tasks.odoo import service
from tasks.odoo.service import Served
from tasks.plan import aftermath, approval
from tasks.plan.approval import WAIT_MINUTES, Decide, Decision, Minutes
from tasks.postgres import cluster
from tasks.receipts import receipts
from tasks.records import records
from tasks.recovery import door
from tasks.recovery.procedure import flow
from tasks.run.document import Document
from tasks.run.outcome import Outcome
from tasks.run.report import Report
from tasks.run.timing import Stopwatch
from tasks.serving import dns, site
from tasks.standby import diverged, rejoin, replication
from tasks.synchronous import synchronous_state


@flow(name="failback", flow_run_name="bring {instance.name} back to {instance.origin}",
      on_cancellation=[aftermath.say], on_failure=[aftermath.say_failed])  # fmt: skip
def failback(
    instance: OdooInstance,
    *,
    decide: Decide = "ask",
    reclone: bool = False,
    accept_loss: bool = False,
    reason: str = "",
    approved_by: str = "",
    wait_minutes: Minutes = WAIT_MINUTES,
) -> Report:
    """Bring an instance's customers back to the origin, losing nothing.

    Before: the recovery host serves, and the origin is up again (whatever runs on it).

    1. The run shows its plan, and starts only after you type the instance name, a reason and your
       name.
    2. The origin is fenced, what only it has is kept aside, it rejoins as a standby, and files are
       copied back while customers work.
    3. A short outage follows: Odoo stops, the last files are copied, the write right is handed over
       with a receipt, the origin serves, DNS changes.
    4. The recovery host follows again, and the schedules run.

    A failed run may be retried; it goes on from the state of the clusters. `reclone` copies the
    whole database to the origin, where following or rewinding was refused.

    Args:
        instance: The instance to bring home.
        decide: "ask" shows the plan and waits for an approval. "plan only" changes nothing.
            Scripts may set "unattended", which the form does not offer: it asks nobody.
        reclone: Copy the whole database to the origin. Only where following or rewinding was
            refused: a large database takes long.
        accept_loss: Promote the origin without the receipt of a clean hand-over. Only where
            there can be none; the receipt keeps the reason.
        reason: Why. The report keeps it.
        approved_by: Who approves it, for unattended runs.
        wait_minutes: How long the plan waits for an approval. Then the run ends, with nothing
            changed.
    """
    origin = instance.origin
    decided = approval.obtain(
        instance, "failback", decide, at_a_loss=accept_loss,
        reason=reason, approved_by=approved_by, wait_minutes=wait_minutes,
    )  # fmt: skip
    if not decided.approved:
        return decided.report

    with lock.held(instance, "failback", preempt=True):
        keys.require_known(instance)
        schedules.pause(instance)
        if stage.find(instance, at_a_loss=accept_loss) == "failed over":
            prepare_origin(instance, reclone=reclone)
        with Stopwatch(from_now=True) as down:
            if stage.find(instance, at_a_loss=accept_loss) != "home":
                hand_over(instance, accept_loss=accept_loss, reason=decided.signed)
            service.start(origin)
            served = service.wait_until_serving(origin)
        pointed = dns.point(instance, origin)
        shown = site.disable(instance)
        aside = diverged.kept(instance, origin)
        restore_replication(instance)
        missing = documents.find_missing(instance, origin)
        events.tell_served(instance, origin)

    report = write_report(
        instance, decided, served, down=down, pointed=pointed, aside=aside, missing=missing
    )
    service.require_whole(instance, origin, served.outcome, shown, pointed)
    return report


def prepare_origin(instance: OdooInstance, *, reclone: bool) -> None:
    stage.start_fallen_primary(instance)
    stage.note_by_hand(instance)
    bring_back(instance, reclone=reclone)
    judgement.heal(instance)
    copies.push(instance, when="while customers work")


def hand_over(instance: OdooInstance, *, accept_loss: bool = False, reason: str = "") -> None:
    origin, recovery = instance.origin, instance.recovery

    stage.start_fallen_origin(instance)
    if not accept_loss:
        receipts.require_genuine(instance)
        replication.require_receiving(origin, recovery)
        replication.require_replayed(origin, recovery)
    with fence.closed(instance, recovery):
        copies.push(instance, when="the last difference")
        if accept_loss:
            demotion.abandon(instance, recovery, origin, reason=reason)
        else:
            demotion.demote(instance, recovery, origin, reason=reason)
            receipts.require(instance, recovery, origin)
    cluster.promote(origin)


def restore_replication(instance: OdooInstance) -> None:
    origin, recovery = instance.origin, instance.recovery

    rejoin.rejoin(instance, recovery, origin)
    door.shut(instance)
    cluster.follow_at_boot(recovery)
    replication.drop_slot(instance, recovery)
    synchronous_state.prove_again(instance)
    diverged.purge(instance, origin)
    exposure.sample_link(instance)
    schedules.resume(instance)
    for place in (origin, recovery):
        durable.sync(place)
    records.close(instance)  # last: until then this procedure can be run again to its end


def write_report(
    instance: OdooInstance,
    decided: Decision,
    served: Served,
    *,
    down: Stopwatch,
    pointed: Outcome,
    aside: str,
    missing: list[Document],
) -> Report:
    origin, recovery = instance.origin, instance.recovery
    facts = {
        "lost": receipts.cost(instance, origin),
        "next": f"nothing: {recovery} follows {origin} again",
        "databases that answer": str(served),
        "seconds of downtime": down.seconds,
        "seconds in all": decided.watch.read(),
        "domains": pointed.sentence,
        **decided.facts,
        "kept aside": aside or f"nothing: {origin} followed with its own data directory",
    }
    report = Report(f"{instance.name} is back on {origin}", facts, documents=missing)
    return reports.hand_in(instance, "failback", report)
