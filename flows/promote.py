"""Runbook: "Failover de Postgresql"."""

from blocks.instance import OdooInstance
from tasks.authority import exposure, fence, keys, move, promotable
from tasks.build import build
from tasks.host import lock
from tasks.notices import schedules
from tasks.plan import aftermath
from tasks.postgres import cluster
from tasks.receipts import receipts
from tasks.records.loss import Exposure
from tasks.recovery import settling
from tasks.recovery.procedure import flow
from tasks.standby import limits


@flow(name="promote", flow_run_name="promote {instance.recovery} for {instance.name}",
      on_cancellation=[aftermath.say])  # fmt: skip
def promote(instance: OdooInstance, *, origin_is_down: bool = False, reason: str = "") -> str:
    """Promote the recovery host's cluster; failover does this and starts Odoo.

    Before: the origin answers (it is then stopped cleanly, and nothing is lost), or you have
    confirmed from another source that it is down and will stay down: set origin_is_down and give a
    reason.
    """
    instance = settling.finish(instance)
    with lock.held(instance, "promote", preempt=True):
        keys.require_known(instance, ask_origin=False)
        exposed = take_over(instance, origin_is_down=origin_is_down, reason=reason)
        schedules.pause(instance)
        cluster.checkpoint(instance.recovery)
    return str(exposed)


def take_over(instance: OdooInstance, *, origin_is_down: bool, reason: str) -> Exposure:
    recovery, loss_accepted = instance.recovery, origin_is_down and bool(reason.strip())

    move.wake(instance, origin_is_down=loss_accepted)
    if loss_accepted:
        limits.raise_standby(instance)
    promotable.require_ready_to_serve(instance)
    lossless = fence.fence_origin(instance, loss_accepted=loss_accepted)
    exposed = exposure.measure(instance, lossless=lossless)
    exposure.require_accepted(instance, exposed, loss_accepted=loss_accepted)

    move.note(instance, exposed, reason=reason)
    receipts.award(instance, exposed, reason=reason)
    fence.hold_returned(instance, lossless=lossless)
    build.adopt(instance)
    cluster.promote(recovery)
    return exposed
