"""The write right taken from one side for the other: only after a proof, or with a reason."""

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from tasks.postgres import cluster
from tasks.postgres.observe import ClusterState, observe, received
from tasks.postgres.wal import Lsn
from tasks.receipts import receipts
from tasks.receipts.receipt import last_word
from tasks.run.step import log, step
from tasks.run.wait import until
from tasks.standby import replication

RECEIVE_SECONDS = 120
STREAM_SECONDS = 40  # from a start to a stream: a standby tries again every five seconds


@step("demote {old_primary}, in favour of {new_primary}", retries=0)
def demote(
    instance: OdooInstance, old_primary: Place, new_primary: Place, *, reason: str = ""
) -> None:
    """Hand the write right over: stop the old primary cleanly, prove that the new one has it all.

    The receipt is written on both hosts, and only after the proof. An old primary that was demoted
    before is proven again and left as it is.
    """
    state = observe(old_primary)
    if state.is_primary:
        require_streaming_standby(old_primary, new_primary)
    if not state.is_standby:
        cluster.start_at_boot(old_primary, "manual")  # also where somebody else has stopped it
        cluster.stop_any(old_primary)
    require_received(instance, old_primary, new_primary)
    if not observe(new_primary).is_primary:
        receipts.record_demotion(instance, old_primary, new_primary, reason=reason)


@step("take the write right from {old_primary} without its receipt", retries=0)
def abandon(instance: OdooInstance, old_primary: Place, new_primary: Place, *, reason: str) -> None:
    """Hand over although nobody can prove that the new primary has it all; the reason is kept."""
    if not reason.strip():
        raise Refused(
            f"a reason is needed to give up what {new_primary} has not received from {old_primary}",
            hint="give a reason; it is kept in the receipt",
        )
    if observe(new_primary).is_primary:
        return
    cluster.start_at_boot(old_primary, "manual")
    cluster.stop_any(old_primary)
    loss = given_up(old_primary, new_primary)
    receipts.write(instance, kind="forced", taker=new_primary, reason=reason, loss=loss)


def given_up(old_primary: Place, new_primary: Place) -> str:
    """What is lost where nobody can prove that the new primary has it all."""
    return f"what {old_primary} wrote after {received(new_primary)}, if anything"


def require_streaming_standby(old_primary: Place, new_primary: Place) -> None:
    if not observe(new_primary).is_standby:
        raise Refused(
            f"{new_primary} is not a standby of {old_primary}: {old_primary} will not be stopped",
            hint="run check for this instance and fix what it names",
        )


def require_received(instance: OdooInstance, old_primary: Place, new_primary: Place) -> Lsn:
    """Require that the new primary holds the old one's shutdown checkpoint: nothing is lost."""
    control = observe(old_primary).control
    if control is not None and control.was_standby:
        control = last_word(control, receipts.newest(instance), old_primary.kind)
    if control is None or not control.shut_down:
        raise Refused(
            f"the control file on {old_primary} does not show a clean shutdown",
            hint=f"start PostgreSQL on {old_primary} again and rerun, or accept the loss",
        )
    if (state := observe(new_primary)).is_primary:
        return control.checkpoint
    checkpoint = control.checkpoint
    try:
        until(
            lambda: state.answers and received(new_primary) > checkpoint,
            what=f"{new_primary} has received the shutdown checkpoint of {old_primary} at "
            f"{checkpoint}",
            timeout_seconds=RECEIVE_SECONDS,
        )
    except CommandFailed as error:
        raise Refused(
            f"{error.message}; it has {received(new_primary)}",
            hint=f"start PostgreSQL on {old_primary} again, let {new_primary} catch up, and "
            "rerun; nothing is lost yet",
        ) from error
    if not control.ends_at(received(new_primary)):
        raise Refused(
            f"{new_primary} does not have the shutdown checkpoint of {old_primary} at "
            f"{checkpoint}: their histories differ",
            hint="keep both data directories, and find out which of them customers have seen",
        )
    return checkpoint


def stopped_whole(old_primary: Place, new_primary: Place) -> bool:
    """Tell whether the old primary was stopped cleanly, and the new one has all that it wrote."""
    return holds_all_of(observe(old_primary), new_primary)


def holds_all_of(old_primary: ClusterState, new_primary: Place) -> bool:
    """Tell whether the new primary has all that an old primary wrote, which was stopped cleanly."""
    control, there = old_primary.control, observe(new_primary).control
    if control is None or there is None or there.system_identifier != control.system_identifier:
        return False
    return control.ends_at(received(new_primary))


def revived(instance: OdooInstance, state: ClusterState) -> ClusterState:
    """Start an origin that is down and has not handed over all it has; give what it is then.

    A move that died in the middle may have left it so, or a crash. One that does not start, and one
    that has not the write right any more, stays as it is. So does one that was stopped cleanly
    before what its standby has: it was set back to an older state, and has nothing to hand over.
    """
    state.require_asked()
    origin, recovery = instance.origin, instance.recovery
    if state.online or state.gone or not observe(recovery).is_standby:
        return state
    known = receipts.newest(instance)
    if holds_all_of(state, recovery) or (known is not None and known.taker != "origin"):
        return state
    if state.control and state.control.shut_down and state.control.checkpoint < received(recovery):
        return state
    log().warning("%s is down, and %s lacks what it wrote last: it is started", origin, recovery)
    try:
        cluster.start(origin)
        until(
            lambda: replication.is_streaming(instance, recovery, origin),
            what=f"{recovery} streams from {origin}", timeout_seconds=STREAM_SECONDS,
        )  # fmt: skip
    except CommandFailed as error:
        log().warning("%s", error.message)
    return observe(origin)


def keeps_right(instance: OdooInstance, place: Place) -> bool:
    """Tell whether a place serves on after a hand-over that did not happen; start it for that."""
    if (state := observe(place)).answers:
        return state.is_primary
    known = receipts.newest(instance)
    if place.kind != ("origin" if known is None else known.taker):
        return False
    log().warning("nothing was handed over: PostgreSQL on %s is started again", place)
    return cluster.start(place).is_primary
