"""How far a move of an instance has come, and what is written down of it before it goes on."""

from datetime import UTC, datetime
from typing import Literal

from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance
from tasks.postgres import cluster
from tasks.postgres.observe import (
    ClusterState,
    observe,
    observe_if_reachable,
    observe_leader,
    observe_or_why,
    unheard,
)
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
    if is_stranded(instance):
        _start_stranded(instance, origin_is_down=origin_is_down)
        return
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


def _start_stranded(instance: OdooInstance, *, origin_is_down: bool) -> None:
    """Start the cluster that had to give the write right away, as what it is since: a standby.

    An origin that runs after all shows itself by its stream, and nothing is written here before the
    receipt is there.
    """
    from tasks.standby import rejoin  # noqa: PLC0415  # which no other failover waits for

    origin, recovery = instance.origin, instance.recovery
    if not origin_is_down:
        raise Refused(
            f"a failback gave {origin} the write right, and {origin} does not serve; PostgreSQL on "
            f"{recovery} is down since",
            hint=f"run failback when {origin} is back: it goes on from there; if another "
            "source confirms that it is down and will stay down, run failover with origin_is_down "
            "and a reason",
        )
    log().warning(
        "%s had the write right and does not serve: %s starts behind it", origin, recovery
    )
    rejoin.write_signals(instance, recovery, origin, observe(recovery).directory)
    cluster.start(recovery)


def is_stranded(instance: OdooInstance) -> bool:
    """Tell whether a failback gave the write right to an origin that does not serve any more.

    The recovery host was stopped cleanly for it, and follows nobody yet.
    """
    recovery = observe(instance.recovery)
    if recovery.answers or recovery.control is None or not recovery.control.shut_down:
        return False
    if _new_primary(instance) != "origin":
        return False
    origin = observe_if_reachable(instance.origin)
    return origin is None or origin.gone or _is_another(origin, recovery)


def _is_another(origin: ClusterState, recovery: ClusterState) -> bool:
    """Tell whether two clusters have nothing to do with each other: one was made anew."""
    if origin.control is None or recovery.control is None:
        return False
    return origin.control.system_identifier != recovery.control.system_identifier


@step("start PostgreSQL on {instance.origin}, if it has the write right and is down")
def start_fallen_origin(instance: OdooInstance) -> bool:
    """Start the cluster that a failback has handed the write right to, where it has fallen since.

    It may be a standby still, or promoted already, which is told.
    """
    origin = observe_if_reachable(instance.origin)
    if origin is None or origin.gone or origin.answers or observe(instance.recovery).is_primary:
        return False
    log().warning("%s is to have the write right, and its PostgreSQL is down", instance.origin)
    started = cluster.start(instance.origin)
    _require_heir(instance, started, observe(instance.recovery))
    return started.is_primary


def leader_is_down(instance: OdooInstance) -> bool:
    """Tell whether customers were moved to a cluster that does not run any more.

    Somebody may have brought them home by hand since, past all receipts.
    """
    if observe(instance.recovery).answers or _new_primary(instance) != instance.recovery.kind:
        return False
    origin = observe_if_reachable(instance.origin)
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
    if new_primary == "origin":
        _require_heir(instance, origin, recovery)
    if origin.is_primary and new_primary == "origin":
        return "home"
    entitled = new_primary == "origin" or at_a_loss
    if origin.is_standby and not recovery.online and entitled:
        return "handing over"
    if entitled and not (origin.online or origin.gone):
        return "handing over"  # and it is started first
    if not at_a_loss and leader_is_down(instance):
        return "failed over"  # and it is started first
    raise Refused(
        f"{instance.name} is not served from the recovery host: {instance.origin} is {origin}, "
        f"{instance.recovery} is {recovery}",
        hint="run check to see what is wrong; failback is for an instance that was failed over",
    )


def _require_heir(instance: OdooInstance, origin: ClusterState, recovery: ClusterState) -> None:
    """Refuse an origin that has the write right and is not what it was given to.

    A hoster may have brought back last night's state, or an empty cluster may have been made.
    """
    was_leader = recovery.control is not None and recovery.control.shut_down
    older = (
        origin.is_primary
        and was_leader
        and recovery.control is not None
        and observe_leader(instance.origin).timeline <= recovery.control.last_timeline
    )
    if older or _is_another(origin, recovery):
        what = "was restored to an older state" if older else "is a different cluster"
        raise Refused(
            f"the cluster on {instance.origin} {what}: it does not hold what {instance.recovery} "
            "gave it",
            hint=f"stop Odoo and PostgreSQL on {instance.origin} and power it off, then run "
            f"failover with origin_is_down and a reason: {instance.recovery} still has "
            "all that it handed over",
        )
