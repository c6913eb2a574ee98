"""Keeping a side from serving: proven by asking it, not by having told it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from blocks import lease
from blocks.answers import understood
from blocks.errors import CommandFailed, LoginRefused, Refused, ShutOut, Unreachable
from blocks.instance import OdooInstance, Place
from blocks.odoo import Odoo
from blocks.shell import Shell
from tasks.authority import demotion, exposure, keys
from tasks.filestore import copies
from tasks.host import lock, together
from tasks.odoo import service
from tasks.postgres import cluster
from tasks.postgres.observe import observe, observe_if_there
from tasks.receipts import receipt_files
from tasks.run.step import log, step
from tasks.run.wait import until
from tasks.standby import replication

SHOW_SECONDS = 30
STOP_SECONDS = 120
# How long the question of an origin that is about to write is fresh, and by when its guard, which
# is told otherwise two seconds after the receipt is there, has held what had begun.
ASKED_SECONDS = 20
HELD_SECONDS = 10
LISTEN_SECONDS, POLL_SECONDS = 2, 0.2
# A walreceiver asks a sender that says nothing for a word after half of wal_receiver_timeout.
ASKS_AFTER, SPARE_SECONDS = 0.5, 5
USUAL_TIMEOUT, MOST_TIMEOUT = 60, 300  # 0 is for ever: such a one never asks
AGAIN_SECONDS = 12  # within which a standby asks twice for a stream that was broken
TIMEOUT = "SELECT setting FROM pg_settings WHERE name = 'wal_receiver_timeout'"
SINCE = 'echo $(($(date +%s) - $(stat -c %Y "$1" 2>/dev/null || echo 0)))'


def stop_odoo(place: Place) -> None:
    """Stop Odoo and keep it from starting at boot; prove both.

    Each by a command of its own: for a unit made of a script in /etc/init.d, `disable --now`
    succeeds and stops nothing. And such a script may end without having stopped anything.
    """
    shell, odoo = place.host.shell(), place.odoo
    for verb in ("disable", "stop"):
        shell.run(("systemctl", verb, odoo.unit), check=False, timeout_seconds=STOP_SECONDS)
    until(
        lambda: _is_down(shell, odoo),
        what=f"{odoo.unit} on {place} is down, and port {odoo.http_port} with it",
        timeout_seconds=STOP_SECONDS,
        hint=f"run systemctl status {odoo.unit} there, and ss -ltnp to see who listens",
    )
    enabled = _unit_state(shell, odoo.unit, "is-enabled")
    if not enabled:  # there is no such unit, or systemd does not answer: this fails then
        shell.run(("systemctl", "show", odoo.unit, "--property=LoadState"))
    if enabled in {"enabled", "enabled-runtime"}:
        raise CommandFailed(
            f"{odoo.unit} on {place} still starts at boot after systemctl disable",
            hint=f"run systemctl disable {odoo.unit} there to see why",
        )


def _is_down(shell: Shell, odoo: Odoo) -> bool:
    if _unit_state(shell, odoo.unit, "is-active") not in {"inactive", "failed", "unknown"}:
        return False
    return not shell.run(("ss", "-Hltn", f"sport = :{odoo.http_port}")).stdout.strip()


def _unit_state(shell: Shell, unit: str, question: str) -> str:
    return shell.run(("systemctl", question, unit), check=False).stdout.strip()


@step("stop Odoo on {place}")
def fence_odoo(place: Place) -> None:
    """Stop Odoo; it does not start by itself any more."""
    stop_odoo(place)


def answers(place: Place) -> bool:
    """Tell whether a host lets us in at all."""
    return why_unheard(place) is None


def why_unheard(place: Place) -> Unreachable | None:
    """Say why a host does not let us in; nothing where it does."""
    try:
        place.host.shell().run(("true",), timeout_seconds=15)
    except Unreachable as error:
        log().warning("%s", error.message)
        return error
    return None


@step("fence the origin of {instance.name}", retries=0)
def fence_origin(instance: OdooInstance, *, loss_accepted: bool, reason: str = "") -> bool:
    """Keep the origin from serving, if it answers; tell whether the move is lossless.

    Odoo stops first, so that the last files can follow before PostgreSQL hands over. An origin
    whose PostgreSQL is down is left as it is, where the failover is going to be refused.
    """
    origin, recovery = instance.origin, instance.recovery
    heard, asked = last_heard(recovery), time.monotonic()
    if why := why_unheard(origin):
        _require_judged(origin, why, loss_accepted=loss_accepted)
        _require_silence(instance, why, heard, since=asked)
        return False
    with _said_of_a_broken_disk(origin):
        keys.require_believed(instance, origin)
        state = observe_if_there(origin)
    if not loss_accepted:
        state = demotion.revived(instance, state)
    if state.is_primary and not observe(recovery).is_primary:
        _require_streaming(instance, loss_accepted=loss_accepted)
        with closed(instance, origin):
            _show_rows(instance, within_seconds=demotion.RECEIVE_SECONDS)
            _fetch_last_files(instance, loss_accepted=loss_accepted)
            demotion.demote(instance, origin, recovery, reason=reason)
        return True
    lossless = demotion.holds_all_of(state, recovery)
    if lossless or loss_accepted or exposure.is_promoted(instance):
        with _said_of_a_broken_disk(origin):
            fence_old_primary(instance, origin)
    return lossless


def last_heard(recovery: Place) -> str:
    """When the walreceiver last had a message from the origin; nothing where it has no stream."""
    sql = "SELECT max(last_msg_receipt_time) FROM pg_stat_wal_receiver"
    return recovery.cluster.value(recovery.host.shell(), sql)


def _asks_within(recovery: Place) -> float:
    """How soon a walreceiver has asked, and been answered, where its sender says nothing."""
    said = recovery.cluster.value(recovery.host.shell(), TIMEOUT)
    with understood(f"the timeout of the stream on {recovery}"):
        timeout = (int(said) / 1000) or MOST_TIMEOUT
    return ASKS_AFTER * min(max(timeout, USUAL_TIMEOUT), MOST_TIMEOUT) + SPARE_SECONDS


def _require_silence(instance: OdooInstance, why: Unreachable, heard: str, *, since: float) -> None:
    """Refuse to call an origin down whose WAL goes on arriving: only its ssh is shut to us.

    Where its host is there, a stream that is broken now may begin again. A connection that was
    refused may be a ban of its firewall's: a stream that stands then is given its time as well.
    """
    recovery, is_there = instance.recovery, isinstance(why, ShutOut)
    refuses = is_there or isinstance(why.__cause__, ConnectionRefusedError)
    heard_within = _asks_within(recovery) if refuses else LISTEN_SECONDS
    begins_within = AGAIN_SECONDS if is_there else 0
    while True:
        last = last_heard(recovery)
        if last and last != heard:
            raise Refused(
                f"SSH login to {instance.origin} failed, but {instance.origin} is still running: "
                f"{recovery} received WAL from it at {last}",
                hint=f"restore the SSH login to {instance.origin}, or power it off at the hoster; "
                "then run this again",
            )
        if time.monotonic() - since >= (heard_within if last else begins_within):
            return
        time.sleep(POLL_SECONDS)


def _require_judged(origin: Place, why: Unreachable, *, loss_accepted: bool) -> None:
    """Refuse to call an origin down that was not silent: a key or a login is not right."""
    if refusal := objection(origin, why):
        raise refusal
    if isinstance(why, ShutOut) and not loss_accepted:
        raise Refused(
            f"whether {origin} is down is not known: {why.message}",
            hint=f"{why.hint}; if another source confirms that {origin} is down and stays down, "
            "run failover with origin_is_down and a reason",
        )


def objection(origin: Place, why: Unreachable | None) -> Refused | None:
    """Refuse what nobody can accept: to call a host down that has shown its own key to us."""
    if not isinstance(why, LoginRefused):
        return None
    return Refused(
        f"{origin} is running, but the SSH login failed: {why.message}",
        hint=f"{why.hint}; or power {origin} off at the hoster, and see that it is off; then run "
        "this again",
    )


@contextmanager
def _said_of_a_broken_disk(origin: Place) -> Iterator[None]:
    """An origin that is reachable and cannot be read or written is neither dead nor fenced."""
    try:
        yield
    except (Unreachable, CommandFailed) as error:
        raise Refused(
            f"{origin} is reachable but could not be fenced: {error.message.splitlines()[-1]}",
            hint=f"power {origin} off at the hoster, see that it is down, then run this again with "
            "origin_is_down",
        ) from error


def _require_streaming(instance: OdooInstance, *, loss_accepted: bool) -> None:
    """Refuse to stop a healthy origin whose standby does not follow it."""
    origin, recovery = instance.origin, instance.recovery
    if not replication.comes_to_follow(instance, recovery, origin):
        raise Refused(
            f"{origin} answers and accepts writes, and {recovery} does not follow it"
            + (": origin_is_down is not true" if loss_accepted else ""),
            hint="fix the replication first (check says why); or stop the origin for good and run "
            "failover with origin_is_down",
        )
    replication.require_receiving(recovery, origin)
    replication.require_quick(instance, origin, recovery)
    # What could keep customers waiting is found while they still work.
    _show_rows(instance, within_seconds=SHOW_SECONDS)
    if not loss_accepted:
        copies.fetch_ahead(instance)


def _show_rows(instance: OdooInstance, *, within_seconds: float) -> None:
    """Wait until the standby shows what the origin has written: its rows name the last files."""
    origin, recovery = instance.origin, instance.recovery
    last = origin.cluster.execute(origin.host.shell(), replication.MARK)
    replication.wait_until_replayed(recovery, last, timeout_seconds=within_seconds)


def _fetch_last_files(instance: OdooInstance, *, loss_accepted: bool) -> None:
    try:
        copies.pull(instance, "filestore")
    except (Unreachable, CommandFailed, Refused) as error:
        if not loss_accepted:
            raise
        log().warning("the last files could not be fetched: %s", error.message)


@step("fence {old_primary}, which has come back")
def fence_old_primary(instance: OdooInstance, old_primary: Place) -> None:
    """Keep a returned primary from serving; one that follows the leader already may go on."""
    stop_odoo(old_primary)
    state = observe_if_there(old_primary)
    if state.gone:
        log().warning(
            "%s has no cluster %s any more: nothing to fence", old_primary, old_primary.cluster
        )
        return
    cluster.start_at_boot(old_primary, "manual")
    if state.is_primary:
        log().warning("%s had come back as a second primary of %s", old_primary, instance.name)
    if not state.is_standby:
        cluster.stop_starting(old_primary)


def since_asked(instance: OdooInstance) -> tuple[str, ...]:
    """The command that says how long ago the origin asked whether it may write."""
    return ("sh", "-c", SINCE, "since", str(receipt_files.asked_path(instance)))


@step("see whether {instance.origin} has come back meanwhile", retries=0)
def fence_returned(instance: OdooInstance, *, lossless: bool) -> None:
    """Let nobody be promoted beside an origin that was told "you may" before the receipt was there.

    One that asks from now on is told otherwise. One that asked a moment ago is held, or left the
    time in which its guard holds it.
    """
    origin, recovery = instance.origin, instance.recovery
    if lossless or observe(recovery).is_primary:
        return
    receipt_there = time.monotonic()
    asked = together.ask(recovery.host.shell(), since_asked(instance))
    if (ago := int(asked.stdout)) > ASKED_SECONDS:
        return
    log().warning("%s asked %d s ago who may write: it has come back, and is fenced", origin, ago)
    if answers(origin):
        fence_old_primary(instance, origin)
    else:  # its guard has to
        until(
            lambda: time.monotonic() > receipt_there + HELD_SECONDS,
            what=f"the guard at {origin} has had its time", timeout_seconds=HELD_SECONDS + 1,
        )  # fmt: skip


@contextmanager
def closed(instance: OdooInstance, place: Place) -> Iterator[None]:
    """Close Odoo's door for a hand-over; open it again if the hand-over does not happen.

    Also by a run that has lost its lock: customers would stand before a closed door for nothing.
    Where another run holds it by now, the door is that one's.
    """
    try:
        fence_odoo(place)
        yield
    except BaseException:
        if lock.lost_to_another_run(instance):
            raise
        with lease.regardless():
            if demotion.keeps_right(instance, place):
                log().warning("nothing was handed over: Odoo on %s serves again", place)
                cluster.start_at_boot(place, "auto")  # first: Odoo may fail to start
                service.start(place)
        raise
