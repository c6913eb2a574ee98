"""Runbook: "Configurar el clúster principal como standby del clúster de respaldo"."""

from blocks.instance import OdooInstance
from tasks.authority import fence, guard, keys
from tasks.host import lock
from tasks.logins import login
from tasks.plan import aftermath
from tasks.recovery import door
from tasks.recovery.procedure import flow
from tasks.standby import former, rejoin
from tasks.synchronous import synchronous


@flow(name="pg_rewind", flow_run_name="rejoin {instance.origin} to {instance.recovery}",
      on_cancellation=[aftermath.say])  # fmt: skip
def pg_rewind(instance: OdooInstance, *, reclone: bool = False) -> None:
    """Make the returned origin a standby of the recovery host, without handing anything back yet.

    Nothing that only the origin has is destroyed: its data directory is kept aside first.
    The origin rejoins by the cheapest safe way: follow, rewind, or re-clone. A pg_rewind never runs
    twice. Failback does this and the rest.
    """
    with lock.held(instance, "pg_rewind", preempt=True):
        keys.require_known(instance)
        former.require_not_following(instance)
        bring_back(instance, reclone=reclone)


def bring_back(instance: OdooInstance, *, reclone: bool) -> None:
    origin, recovery = instance.origin, instance.recovery

    former.require_serving(recovery)
    guard.tell_held(instance)
    fence.hold_former(instance, origin)
    former.refurnish(instance)
    synchronous.rest_while_following(instance)
    login.write_pgpass(instance, origin, recovery)
    door.admit(instance)
    login.prove_login(instance, origin, recovery)

    rejoin.rejoin(instance, origin, recovery, reclone=reclone)
