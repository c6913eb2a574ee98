"""The write right taken from one side for the other: only after a proof, or with a reason."""

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from tasks.postgres import cluster
from tasks.postgres.observe import ClusterState, observe, received
from tasks.postgres.wal import Lsn
from tasks.receipts import receipts
from tasks.run.step import step
from tasks.run.wait import until

RECEIVE_SECONDS = 120


@step("demote {giver}, in favour of {taker}", retries=0)
def demote(instance: OdooInstance, giver: Place, taker: Place, *, reason: str = "") -> None:
    """Hand the write right over: stop the giver cleanly and prove that the taker has it all.

    The receipt is written on both hosts, and only after the proof. A giver that was demoted
    before is proven again and left as it is.
    """
    seen = observe(giver)
    if seen.is_primary:
        require_streaming_standby(giver, taker)
    if not seen.is_standby:
        cluster.start_at_boot(giver, "manual")  # also where somebody else has stopped it
        cluster.stop_any(giver)
    require_received(giver, taker)
    if not observe(taker).is_primary:
        receipts.record_demotion(instance, giver, taker, reason=reason)


@step("take the write right from {giver} without its receipt", retries=0)
def abandon(instance: OdooInstance, giver: Place, taker: Place, *, reason: str) -> None:
    """Hand over although nobody can prove that the taker has it all; the reason is kept."""
    if not reason.strip():
        raise Refused(
            f"a reason is needed to give up what {taker} has not received from {giver}",
            hint="give a reason; it is kept in the receipt",
        )
    if observe(taker).is_primary:
        return
    cluster.start_at_boot(giver, "manual")
    cluster.stop_any(giver)
    loss = given_up(giver, taker)
    receipts.write(instance, kind="forced", taker=taker, reason=reason, loss=loss)


def given_up(giver: Place, taker: Place) -> str:
    """What is lost where nobody can prove that the taker has it all."""
    return f"what {giver} wrote after {received(taker)}, if anything"


def require_streaming_standby(giver: Place, taker: Place) -> None:
    if not observe(taker).is_standby:
        raise Refused(
            f"{taker} is not a standby of {giver}: {giver} will not be stopped",
            hint="run check for this instance and fix what it names",
        )


def require_received(giver: Place, taker: Place) -> Lsn:
    """Require that the taker holds the giver's shutdown checkpoint: then nothing is lost."""
    control = observe(giver).control
    if control is None or not control.shut_down:
        raise Refused(
            f"the control file on {giver} does not show a clean shutdown",
            hint=f"start PostgreSQL on {giver} again and rerun, or accept the loss",
        )
    if (seen := observe(taker)).is_primary:
        return control.checkpoint
    checkpoint = control.checkpoint
    try:
        until(
            lambda: seen.answers and received(taker) > checkpoint,
            what=f"{taker} has received the shutdown checkpoint of {giver} at {checkpoint}",
            timeout_seconds=RECEIVE_SECONDS,
        )
    except CommandFailed as error:
        raise Refused(
            f"{error.message}; it has {received(taker)}",
            hint=f"start PostgreSQL on {giver} again, let {taker} catch up, and rerun; nothing is "
            "lost yet",
        ) from error
    if not control.ends_at(received(taker)):
        raise Refused(
            f"{taker} does not have the shutdown checkpoint of {giver} at {checkpoint}: their "
            "histories differ",
            hint="keep both data directories, and find out which of them customers have seen",
        )
    return checkpoint


def stopped_whole(giver: Place, taker: Place) -> bool:
    """Tell whether the giver was stopped cleanly, and the taker has all that it wrote."""
    return holds_all_of(observe(giver), taker)


def holds_all_of(giver: ClusterState, taker: Place) -> bool:
    """Tell whether the taker has all that a giver wrote, which was stopped cleanly."""
    control, there = giver.control, observe(taker).control
    if control is None or there is None or there.system_identifier != control.system_identifier:
        return False
    return control.ends_at(received(taker))
