"""Keeping a side from serving: proven by asking it, not by having told it."""

from collections.abc import Iterator
from contextlib import contextmanager

from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks import cluster, filestore, receipts, replication, service
from tasks.look import look, received
from tasks.policy import log, step
from tasks.read.lsn import Lsn
from tasks.wait import until

RECEIVE_SECONDS = 120
STOP_SECONDS = 120


def stop_odoo(place: Place) -> None:
    """Stop Odoo and keep it from starting at boot; prove that it is down."""
    shell, unit = place.host.shell(), place.odoo.unit
    shell.run(("systemctl", "disable", "--now", unit), check=False, timeout_seconds=STOP_SECONDS)
    states = ("inactive", "failed", "unknown")
    until(
        lambda: _unit_state(shell, unit) in states,
        what=f"{unit} on {place} is down",
        timeout_seconds=STOP_SECONDS,
        hint=f"systemctl status {unit} there",
    )


def _unit_state(shell: Shell, unit: str) -> str:
    return shell.run(("systemctl", "is-active", unit), check=False).stdout.strip()


@step("stop Odoo on {place}")
def hold_odoo(place: Place) -> None:
    """Stop Odoo; it does not start by itself any more."""
    stop_odoo(place)


def answers(place: Place) -> bool:
    """Tell whether a host lets us in at all."""
    try:
        place.host.shell().run(("true",), timeout_seconds=15)
    except Unreachable as error:
        log().warning("%s", error.message)
        return False
    return True


@step("demote {giver}, in favour of {taker}", retries=0)
def demote(instance: OdooInstance, giver: Place, taker: Place) -> None:
    """Hand the write right over: stop the giver cleanly and prove that the taker has it all.

    The receipt is written on both hosts, and only after the proof. A giver that was demoted
    before is proven again and left as it is.
    """
    if look(giver).is_primary:
        require_streaming_standby(giver, taker)
        cluster.start_at_boot(giver, "manual")
        cluster.stop(giver)
    require_received(giver, taker)
    if not look(taker).is_primary:
        receipts.record_demotion(instance, giver, taker)


@step("take the write right from {giver} without its receipt", retries=0)
def abandon(instance: OdooInstance, giver: Place, taker: Place, *, reason: str) -> None:
    """Hand over although nobody can prove that the taker has it all; the reason is kept."""
    if not reason.strip():
        raise Refused(
            f"nobody said why {giver} may lose what {taker} has not received",
            hint="give a reason; it is kept in the receipt",
        )
    if look(taker).is_primary:
        return
    cluster.start_at_boot(giver, "manual")
    cluster.stop_any(giver)
    loss = f"what {giver} wrote after {received(taker)}, if anything"
    receipts.write(instance, kind="forced", taker=taker, reason=reason, loss=loss)


def require_streaming_standby(giver: Place, taker: Place) -> None:
    if not look(taker).is_standby:
        raise Refused(
            f"{taker} is no standby of {giver}: {giver} will not be stopped",
            hint="run check for this instance and mend what it names",
        )


def require_received(giver: Place, taker: Place) -> Lsn:
    """Require that the taker holds the giver's shutdown checkpoint: then nothing is lost."""
    control = look(giver).control
    if control is None or not control.shut_down:
        raise Refused(
            f"the control file on {giver} does not say that it was shut down cleanly",
            hint=f"start PostgreSQL on {giver} again and rerun, or accept the loss",
        )
    if (seen := look(taker)).is_primary:
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
            hint=f"nothing is lost yet: start PostgreSQL on {giver} again, let {taker} catch up, "
            "and rerun",
        ) from error
    return checkpoint


@step("fence the origin of {instance.name}", retries=0)
def fence_origin(instance: OdooInstance, *, loss_accepted: bool) -> bool:
    """Keep the origin from serving, if it answers; tell whether the move is lossless.

    Odoo stops first, so that the last files can follow before PostgreSQL hands over. An origin
    whose PostgreSQL is down is left as it is, where the failover is going to be refused.
    """
    origin, recovery = instance.origin, instance.recovery
    if not answers(origin):
        return False
    if look(origin).is_primary and not look(recovery).is_primary:
        _require_streaming(instance, loss_accepted=loss_accepted)
        with closed(origin):
            _fetch_last_files(instance, loss_accepted=loss_accepted)
            demote(instance, origin, recovery)
        return True
    lossless = stopped_whole(origin, recovery)
    if lossless or loss_accepted or look(recovery).is_primary:
        hold_former(instance, origin)
    return lossless


def _require_streaming(instance: OdooInstance, *, loss_accepted: bool) -> None:
    """Refuse to stop a healthy origin whose standby does not follow it."""
    origin, recovery = instance.origin, instance.recovery
    if not replication.is_streaming(instance, recovery, origin):
        raise Refused(
            f"{origin} answers and accepts writes, and {recovery} does not follow it"
            + (": origin_is_down is not true" if loss_accepted else ""),
            hint="mend the replication first (check says why); or stop the origin for good and "
            "run failover with origin_is_down",
        )


def _fetch_last_files(instance: OdooInstance, *, loss_accepted: bool) -> None:
    try:
        filestore.pull(instance, "filestore")
    except (Unreachable, CommandFailed, Refused) as error:
        if not loss_accepted:
            raise
        log().warning("the last files could not be fetched: %s", error.message)


def stopped_whole(giver: Place, taker: Place) -> bool:
    """Tell whether the giver was stopped cleanly, and the taker has all that it wrote."""
    control = look(giver).control
    return control is not None and control.shut_down and received(taker) > control.checkpoint


@step("hold {former}, which has come back")
def hold_former(instance: OdooInstance, former: Place) -> None:
    """Keep a returned primary from serving; one that follows the leader already may go on."""
    stop_odoo(former)
    cluster.start_at_boot(former, "manual")
    seen = look(former)
    if seen.is_primary:
        log().warning("%s had come back as a second primary of %s", former, instance.name)
    if not seen.is_standby:
        cluster.stop_any(former)


@contextmanager
def closed(place: Place) -> Iterator[None]:
    """Close Odoo's door for a hand-over; open it again if the hand-over does not happen."""
    try:
        hold_odoo(place)
        yield
    except BaseException:
        if look(place).is_primary:
            log().warning("nothing was handed over: Odoo on %s serves again", place)
            cluster.start_at_boot(place, "auto")
            service.start(place)
        raise
