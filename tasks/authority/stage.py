"""How far a move of an instance has come, and what is written down of it before it goes on."""

from datetime import UTC, datetime
from typing import Literal

from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance
from tasks.postgres import cluster
from tasks.postgres.observe import observe, observe_if_reachable, observe_or_why, unheard
from tasks.receipts import receipts
from tasks.records import records
from tasks.records.kinds import Failover
from tasks.records.loss import Exposure
from tasks.run.moments import Clock
from tasks.run.step import log, step

Stage = Literal["failed over", "handing over", "home"]


@step("record that {instance.recovery} has the write right of {instance.name}")
def record(instance: OdooInstance, exposure: Exposure, *, reason: str) -> None:
    """Write down, before the promotion, what was known and why it is done; and the receipt."""
    begun = records.read(instance.recovery, instance, Failover) is not None
    # One of a run that never came to the promotion is written anew: this run knows better.
    known = receipts.ask(instance, ask_origin=False).newest if begun else None
    promoted = (
        known is not None and known.taker == "recovery" and observe(instance.recovery).is_primary
    )
    notes = [] if promoted else [records.as_write(instance, _noted(exposure, reason))]
    receipts.award(instance, exposure, reason=reason, notes=notes)


def _noted(exposure: Exposure, reason: str) -> Failover:
    now = datetime.now(UTC).replace(microsecond=0)
    return Failover(exposure=exposure, reason=reason, time=now)


@step("note that {instance.name} was moved by hand, if it was")
def note_by_hand(instance: OdooInstance) -> None:
    """Write down a move that nobody has written down, so that a failback that dies can go on."""
    if records.read(instance.recovery, instance, Failover) is None:
        unknown = Exposure(lossless=False, seconds=None, about_bytes=None, last_commit="")
        records.write(instance.recovery, instance, _noted(unknown, "moved by hand"))


@step("require that no move of {instance.name} is half done")
def require_ended(instance: OdooInstance) -> None:
    """Refuse to go on beside a move that died on its last steps: failback takes those."""
    if sentence := half_done(instance):
        raise Refused(sentence, hint="run failback, which goes on from there")


def half_done(instance: OdooInstance) -> str:
    """Say when the origin has the write right again, and the move was never closed."""
    begun = records.read(instance.recovery, instance, Failover)
    if begun is None or observe(instance.recovery).is_primary:
        return ""
    if observe_if_reachable(instance.origin) is None or _new_primary(instance) != "origin":
        return ""
    at = Clock(instance.timezone).when(begun.time)
    return f"the move of {instance.name} that began at {at}, was never finished"


@step("start PostgreSQL on {instance.recovery}, if it leads and is down")
def start_fallen_primary(instance: OdooInstance, *, origin_is_down: bool = False) -> None:
    """Start the cluster that has the write right, where a crash or a full disk has ended it.

    Not beside an origin that is merely silent: somebody may have promoted it by hand since.
    """
    origin, recovery = instance.origin, instance.recovery
    if not leader_is_down(instance):
        return
    state, why = observe_or_why(origin)
    if not origin_is_down and state is None:
        raise Refused(
            f"customers were moved to {recovery}, whose PostgreSQL is down, and "
            f"{unheard(origin, why)}",
            hint=f"confirm from another source that {origin} is down and will stay down, then run "
            f"failover with origin_is_down and a reason: it starts {recovery}",
        )
    log().warning("%s has the write right, and its PostgreSQL is down", recovery)
    cluster.start(recovery)


@step("start PostgreSQL on {instance.origin}, if it has the write right and is down")
def start_fallen_origin(instance: OdooInstance) -> None:
    """Start the cluster that a failback has handed the write right to, where it has fallen since.

    It may be a standby still, or promoted already.
    """
    origin = observe_if_reachable(instance.origin)
    if origin is None or origin.gone or origin.answers or observe(instance.recovery).is_primary:
        return
    if _new_primary(instance) == "origin":
        log().warning("%s has the write right, and its PostgreSQL is down", instance.origin)
        cluster.start(instance.origin)


def leader_is_down(instance: OdooInstance) -> bool:
    """Tell whether customers were moved to a cluster that does not run any more.

    Somebody may have brought them home by hand since, past all receipts. Or a failback has handed
    the write right to an origin that has died since: then this cluster is the only one.
    """
    recovery = observe(instance.recovery)
    if recovery.answers or not (new_primary := _new_primary(instance)):
        return False
    origin = observe_if_reachable(instance.origin)
    if new_primary == "origin":
        return origin is None and recovery.control is not None and recovery.control.shut_down
    return origin is None or not origin.is_primary


def _new_primary(instance: OdooInstance) -> str:
    """To whom an open move gave the write right last; nobody where none is open."""
    if records.read(instance.recovery, instance, Failover) is None:
        return ""
    known = receipts.newest(instance)
    return known.taker if known else ""


@step("find out who serves {instance.name}")
def find(instance: OdooInstance, *, at_a_loss: bool = False) -> Stage:
    """How far a failback has come, asked of both clusters; refuse when they make no sense."""
    return how_far(instance, at_a_loss=at_a_loss)


def how_far(instance: OdooInstance, *, at_a_loss: bool = False) -> Stage:
    """The same for a plan, where an answer that makes no sense is one more answer."""
    (origin, why), recovery = observe_or_why(instance.origin), observe(instance.recovery)
    if why:
        raise why
    if origin is None:
        raise Unreachable(
            f"{instance.origin} does not answer: there is nowhere to fail back to",
            hint="run failback again when the server is up and reachable by ssh",
        )
    if recovery.is_primary:
        return "failed over"
    new_primary = _new_primary(instance)
    if origin.is_primary and new_primary == "origin":
        return "home"
    if origin.is_standby and not recovery.online and (new_primary == "origin" or at_a_loss):
        return "handing over"
    if new_primary == "origin" and not (origin.online or recovery.online or origin.gone):
        return "handing over"  # and it is started first
    if not at_a_loss and leader_is_down(instance):
        return "failed over"  # and it is started first
    raise Refused(
        f"{instance.name} is not served from the recovery host: {instance.origin} is {origin}, "
        f"{instance.recovery} is {recovery}",
        hint="run check to see what is wrong; failback is for an instance that was failed over",
    )
