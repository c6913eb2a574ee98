"""Runbook: "Failover de Postgresql"."""

from blocks.instance import OdooInstance
from tasks.authority import exposure, fence, keys, promotable, sight, stage
from tasks.build import build
from tasks.host import lock
from tasks.notices import reports, schedules
from tasks.plan import aftermath, approval
from tasks.plan.approval import WAIT_MINUTES, Decide, Minutes
from tasks.postgres import cluster
from tasks.records.loss import Exposure
from tasks.recovery import settling
from tasks.recovery.procedure import flow
from tasks.run.report import Report
from tasks.standby import limits


@flow(name="promote", flow_run_name="promote {instance.recovery} for {instance.name}",
      on_cancellation=[aftermath.say], on_failure=[aftermath.say_failed])  # fmt: skip
def promote(
    instance: OdooInstance,
    *,
    decide: Decide = "ask",
    origin_is_down: bool = False,
    reason: str = "",
    approved_by: str = "",
    wait_minutes: Minutes = WAIT_MINUTES,
) -> Report:
    """Promote the recovery host's cluster, and start no Odoo: failover does both.

    1. The run shows its plan, and starts only after you type the instance name, a reason and your
       name.
    2. An origin that answers is stopped cleanly first, and nothing is lost. One that does not
       answer may still be running: confirm from another source that it is down and will stay down.
    3. PostgreSQL on the recovery host is promoted. Customers cannot work until failover, which goes
       on from there, has started Odoo.

    Args:
        instance: The instance whose cluster on the recovery host is promoted.
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
        instance, "promote", decide,
        origin_is_down=origin_is_down, reason=reason, approved_by=approved_by,
        wait_minutes=wait_minutes,
    )  # fmt: skip
    if not decided.approved:
        return decided.report

    with lock.held(instance, "promote", preempt=True):
        exposed = promote_recovery(
            instance, origin_is_down=decided.origin_is_down, reason=decided.signed
        )
        cluster.lead_at_boot(instance.recovery)
        schedules.pause(instance)
        cluster.checkpoint(instance.recovery)

    title = f"PostgreSQL of {instance.name} on {instance.recovery} accepts writes"
    facts = {
        "may be lost": exposure.describe(instance, exposed),
        "next": "run failover, which starts Odoo: until then no customer can work",
        **decided.facts,
    }
    return reports.hand_in(instance, "promote", Report(title, facts))


def promote_recovery(instance: OdooInstance, *, origin_is_down: bool, reason: str) -> Exposure:
    recovery, loss_accepted = instance.recovery, origin_is_down and bool(reason.strip())

    sight.take(instance)
    keys.require_known(instance, ask_origin=False)
    stage.start_fallen_primary(instance, origin_is_down=loss_accepted)
    if loss_accepted:
        limits.raise_standby(instance)
    promotable.require_ready_to_serve(instance)
    lossless = fence.fence_origin(instance, loss_accepted=loss_accepted, reason=reason)
    exposed = exposure.measure(instance, lossless=lossless)
    exposure.require_accepted(instance, exposed, loss_accepted=loss_accepted)

    stage.record(instance, exposed, reason=reason)
    sight.take_again(instance)
    fence.fence_returned(instance, lossless=lossless)
    build.adopt(instance)
    cluster.promote(recovery)
    return exposed
