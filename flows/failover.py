"""Runbook: "Failover" to "Pasos Finales del Failover"."""

from dataclasses import dataclass

from blocks.instance import OdooInstance
from flows.promote import promote_recovery
from tasks.authority import exposure
from tasks.build import modules
from tasks.filestore import documents, judgement
from tasks.host import durable, lock
from tasks.notices import events, reports, schedules
from tasks.odoo import service
from tasks.odoo.service import Served
from tasks.plan import aftermath, approval
from tasks.plan.approval import WAIT_MINUTES, Decide, Decision, Minutes
from tasks.postgres import cluster
from tasks.records import records
from tasks.records.loss import Exposure
from tasks.recovery import settling
from tasks.recovery.procedure import flow
from tasks.run.document import Document
from tasks.run.outcome import Outcome
from tasks.run.report import Report
from tasks.serving import dns, site


@flow(name="failover", flow_run_name="fail {instance.name} over to {instance.recovery}",
      on_cancellation=[aftermath.say], on_failure=[aftermath.say_failed])  # fmt: skip
def failover(
    instance: OdooInstance,
    *,
    decide: Decide = "ask",
    origin_is_down: bool = False,
    reason: str = "",
    approved_by: str = "",
    wait_minutes: Minutes = WAIT_MINUTES,
) -> Report:
    """Serve an instance's customers from the recovery host.

    1. The run shows its plan: what it will do, and what may be lost. It starts only after you type
       the instance name, a reason and your name.
    2. An origin that answers is stopped cleanly first, and nothing is lost. One that does not
       answer may still be running: confirm from another source that it is down and will stay down.
    3. PostgreSQL on the recovery host is promoted, Odoo starts and must answer for every database,
       the copies of files pause, then nginx and DNS point to it.
    4. The report says what may be lost, and names each document whose file is missing.

    A failed run may be retried: finished steps find nothing left to do. Keep the origin from
    serving until the failback. Without Prefect: `relevo failover NAME` on the recovery host.

    Args:
        instance: The instance to serve from the recovery host.
        decide: "ask" shows the plan and waits for an approval. "plan only" changes nothing.
            Scripts may set "unattended", which the form does not offer: it asks nobody.
        origin_is_down: You have confirmed from another source that the origin is down and will
            stay down. Leave it off when you are not sure: the plan asks again if it matters.
        reason: Why. The report keeps it; an unattended run needs it when something may be lost.
        approved_by: Who approves it, for unattended runs.
        wait_minutes: How long the plan waits for an approval. Then the run ends, with nothing
            changed.
    """
    instance = settling.finish(instance, plan_only=decide == "plan only")
    decided = approval.obtain(
        instance, "failover", decide, wait_minutes=wait_minutes,
        origin_is_down=origin_is_down, reason=reason, approved_by=approved_by,
    )  # fmt: skip
    if not decided.approved:
        return decided.report

    recovery = instance.recovery
    with lock.held(instance, "failover", preempt=True):
        exposed = promote_recovery(
            instance, origin_is_down=decided.origin_is_down, reason=decided.signed
        )

        service.start(recovery)
        schedules.pause(instance)  # while Odoo starts; until then the copies refuse by themselves
        served = service.wait_until_serving(recovery)
        decided.watch.stop()
        shown = site.enable(instance)
        pointed = dns.point(instance, recovery)
        cluster.checkpoint(recovery)  # it takes as long as the disk does, and customers work
        missing = find_missing(instance)
        records.note_served(instance, decided.watch)
        durable.sync(recovery)
        events.tell_served(instance, recovery)

    report = write_report(instance, decided, exposed, served, pointed=pointed, missing=missing)
    service.require_whole(instance, recovery, served.outcome, shown, pointed)
    return report


@dataclass(frozen=True)
class Missing:
    """What customers may miss, once they work again."""

    agreed: str
    documents: list[Document]
    modules: str


def find_missing(instance: OdooInstance) -> Missing:
    return Missing(
        agreed=judgement.judge(instance),
        documents=documents.find_missing(instance, instance.recovery),
        modules=modules.missing(instance),
    )


def write_report(
    instance: OdooInstance,
    decided: Decision,
    exposed: Exposure,
    served: Served,
    *,
    pointed: Outcome,
    missing: Missing,
) -> Report:
    origin, recovery = instance.origin, instance.recovery
    facts = {
        "may be lost": exposure.describe(instance, exposed),
        "next": f"keep {origin} from serving; when it is repaired, run failback",
        "databases that answer": str(served),
        "database and files": missing.agreed,
        "modules that are missing": missing.modules,
        "seconds from the button to Odoo answering": decided.watch.seconds,
        "domains": pointed.sentence,
        **decided.facts,
    }
    title = f"{instance.name} is served from {recovery}"
    report = Report(title, facts, documents=missing.documents)
    return reports.hand_in(instance, "failover", report)
