"""Runbook: "Configurar el clúster principal como standby del clúster de respaldo"."""

from blocks.instance import OdooInstance
from tasks.authority import fence, guard, keys
from tasks.host import lock
from tasks.logins import login
from tasks.notices import reports
from tasks.plan import aftermath, approval
from tasks.plan.approval import WAIT_MINUTES, Decide, Minutes
from tasks.recovery import door
from tasks.recovery.procedure import flow
from tasks.run.report import Report
from tasks.standby import diverged, old_primary, rejoin
from tasks.synchronous import synchronous


@flow(name="pg_rewind", flow_run_name="rejoin {instance.origin} to {instance.recovery}",
      on_cancellation=[aftermath.say], on_failure=[aftermath.say_failed])  # fmt: skip
def pg_rewind(
    instance: OdooInstance,
    *,
    decide: Decide = "ask",
    reclone: bool = False,
    reason: str = "",
    approved_by: str = "",
    wait_minutes: Minutes = WAIT_MINUTES,
) -> Report:
    """Make the returned origin a standby of the recovery host, without handing anything back yet.

    The run shows its plan, and starts only after you type the instance name, a reason and your
    name.
    Nothing that only the origin has is destroyed: its data directory is kept aside first.
    The origin rejoins by the cheapest safe way: follow, rewind, or re-clone. A pg_rewind never runs
    twice. Failback does this and the rest.

    Args:
        instance: The instance whose origin is to follow the recovery host.
        decide: "ask" shows the plan and waits for an approval. "plan only" changes nothing.
            Scripts may set "unattended", which the form does not offer: it asks nobody.
        reclone: Copy the whole database to the origin. Only where following or rewinding was
            refused: a large database takes long.
        reason: Why. The report keeps it.
        approved_by: Who approves it, for unattended runs.
        wait_minutes: How long the plan waits for an approval. Then the run ends, with nothing
            changed.
    """
    origin = instance.origin
    decided = approval.obtain(
        instance, "pg_rewind", decide, reclone=reclone,
        reason=reason, approved_by=approved_by, wait_minutes=wait_minutes,
    )  # fmt: skip
    if not decided.approved:
        return decided.report

    with lock.held(instance, "pg_rewind", preempt=True):
        keys.require_known(instance)
        old_primary.require_not_following(instance)
        bring_back(instance, reclone=reclone)
        aside = diverged.kept(instance, origin)

    title = f"{origin} follows {instance.recovery}, which serves {instance.name}"
    facts = {
        "next": "run failback to bring the customers home",
        "kept aside": aside or f"nothing: {origin} followed with its own data directory",
        **decided.facts,
    }
    return reports.hand_in(instance, "pg_rewind", Report(title, facts))


def bring_back(instance: OdooInstance, *, reclone: bool) -> None:
    origin, recovery = instance.origin, instance.recovery

    old_primary.require_serving(recovery)
    guard.tell_held(instance)
    fence.fence_old_primary(instance, origin)
    old_primary.refurnish(instance)
    synchronous.suspend_while_following(instance)
    login.write_pgpass(instance, origin, recovery)
    door.admit(instance)
    login.prove_login(instance, origin, recovery)

    rejoin.rejoin(instance, origin, recovery, reclone=reclone)
