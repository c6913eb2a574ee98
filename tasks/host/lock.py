"""One procedure at a time on an instance.

The lock is a flock on the recovery host, held by a process at the end of an ssh channel. A killed
worker closes the channel; a worker whose machine died stops sending heartbeats. Either way the
lock is free within LEASE_SECONDS. Who takes it gets a turn, higher than all before: a worker that
comes back from the dead finds that no host executes its commands (blocks/turn.py).
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from blocks import session
from blocks.errors import Busy, Unreachable
from blocks.instance import OdooInstance
from blocks.lease import HELD, Lease, boot_seconds, regardless
from blocks.shell import Shell, turn_stuck
from blocks.ssh_channel import read_line
from blocks.turn import PROGRAM, Turn
from tasks.host.job import any_running, stop_job
from tasks.run import act
from tasks.run.step import log

if TYPE_CHECKING:
    import paramiko

LEASE_SECONDS = 30
BEAT_SECONDS = 5
YIELD_SECONDS = 60
# What gives way to a procedure: copies of files, and what is built ahead.
YIELDING = ("rsync-filestore", "reconcile-filestore", "restore-filestore", "build-service")
VERBS = ("pass", "reconcile", "restore")  # of the engine, in what gives way

# What gives way ($4) is ended at once; whoever holds the lock then takes the next turn, and what is
# left of the run before is ended before the lock is said to be held. A beat is answered.
HOLD = """
test -d /run/relevo || install -d -m 755 /run/relevo
exec 9>>"/run/relevo/$1.lock"
patience=10 ended=
read -r pid procedure 2>/dev/null <"/run/relevo/$1.holder"
flock --nonblock 9 || case " $4 " in
    *" ${procedure:-nobody} "*)
        kill "$pid"
        flock --wait 5 9 || { echo "busy $pid $procedure"; exit 0; }
        patience=0.5 ended=$procedure ;;
    *) echo "busy $(cat "/run/relevo/$1.holder")"; exit 0 ;;
esac
echo "$$ $2" >"/run/relevo/$1.holder"
turn=$(python3 -I -S -c "$5" take "$1" "$patience" 9>&-) || { echo "${turn:-no turn}"; exit 0; }
echo "held $turn $ended"
while read -r -t "$3" beat && [ "$beat" != bye ]; do echo "$beat"; done
"""

HOLDER = """
test -e "$1.lock" || exit 0
flock --nonblock "$1.lock" true || cut -d' ' -f2- "$1.holder" 2>/dev/null || echo somebody
"""


def holder(instance: OdooInstance) -> str:
    """Name the procedure that holds an instance now; nothing where none does."""
    argv = ("sh", "-c", HOLDER, "holder", f"/run/relevo/{instance.name}")
    return instance.recovery.host.shell().run(argv, check=False).stdout.strip()


def under_way(instance: OdooInstance) -> str:
    """Name the procedure that is under way; what gives way to one does not count."""
    found = holder(instance)
    return "" if found in YIELDING else found


def lost_to_another_run(instance: OdooInstance) -> bool:
    """Tell whether this run has lost its lock, and another holds it now.

    Where the recovery host does not answer nobody can have taken it: it is kept there.
    """
    if not ((lease := HELD.get()) and lease.lost):
        return False
    with regardless():
        try:
            return bool(holder(instance))
        except Unreachable:
            return False


@contextlib.contextmanager
def held(
    instance: OdooInstance, procedure: str, *, preempt: bool = False, beside: bool = False,
    wait_seconds: float = YIELD_SECONDS,
) -> Iterator[None]:  # fmt: skip
    """Hold the instance while a procedure runs; raise Busy when another one does.

    What gives way is waited for, or ended with `preempt`. `beside` is for what
    touches nothing of the instance's own: it excludes only itself.
    """
    shell = instance.recovery.host.shell()
    name = f"{instance.name}.{procedure}" if beside else instance.name
    ending = YIELDING if preempt else ()
    channel, said = _acquire(shell, instance, (procedure, name), ending, wait_seconds)
    number, _, ended = said.partition(" ")
    lease, done = Lease(instance.name, turn=Turn(name, number)), threading.Event()
    lease.broken = lambda: channel.closed or channel.exit_status_ready()
    lease.ends = _first(shell, channel)
    beats = threading.Thread(target=_beat, args=(channel, lease, done), daemon=True)
    token = HELD.set(lease)
    beats.start()
    try:
        if ended:
            log().info("ending the running %s of %s", ended, instance.name)
            end_jobs(instance)
        act.begun(lost=lambda: lease.lost)
        yield
    finally:
        lease.lost = lease.over
        done.set()
        HELD.reset(token)
        session.end_turn(Turn(name, number))
        beats.join(timeout=BEAT_SECONDS)
        _release(channel)


def _acquire(
    shell: Shell,
    instance: OdooInstance,
    asked: tuple[str, str],
    ending: Sequence[str],
    wait_seconds: float,
) -> "tuple[paramiko.Channel, str]":
    """Take the lock; give what holds it, and the number of the turn with what had to be ended."""
    deadline, (procedure, name) = time.monotonic() + wait_seconds, asked
    said_so = (procedure, str(LEASE_SECONDS), " ".join(ending), PROGRAM)
    while True:
        channel = shell.hold(("bash", "-c", HOLD, "hold", name, *said_so))
        what, _, said = _answer(shell, channel).partition(" ")
        if what == "held":
            return channel, said.strip()
        _hang_up(channel)
        if what == "stuck":
            raise turn_stuck(instance.name, shell.host, f"{what} {said}")
        holder = said.strip() or "nobody known"
        yields = holder.endswith(YIELDING)
        if not yields or time.monotonic() > deadline:
            raise Busy(
                f"{instance.name} is locked by a running procedure on {shell.host}: {holder}",
                hint="wait for it to end, or cancel that run and start this again; a dead worker's "
                f"lock is free after {LEASE_SECONDS} s",
            )
        time.sleep(0.5)


def _first(shell: Shell, channel: "paramiko.Channel") -> float:
    try:
        return _say(channel)
    except (OSError, ValueError) as error:
        _hang_up(channel)
        raise Unreachable(
            f"{shell.host} granted the lock and lost it again: {error}", hint="retry this run"
        ) from error


def _answer(shell: Shell, channel: "paramiko.Channel") -> str:
    try:
        return read_line(channel)
    except OSError as error:
        _hang_up(channel)
        raise Unreachable(
            f"{shell.host} does not say whether the lock is free: {error}",
            hint="retry this run",
        ) from error


def end_jobs(instance: OdooInstance) -> None:
    """End the long commands of what gives way; whoever copies next goes on from there."""
    shell = instance.recovery.host.shell()
    for name in _jobs(instance):
        stop_job(shell, name)


def is_at_work(instance: OdooInstance) -> bool:
    """Tell whether a long command of what gives way is under way."""
    return any_running(instance.recovery.host.shell(), _jobs(instance))


def _jobs(instance: OdooInstance) -> list[str]:
    kinds = ("filestore", "sources", "requirements")
    return [f"{instance.name}-{each}" for each in (*kinds, *map("engine-{}".format, VERBS))]


def _beat(channel: "paramiko.Channel", lease: Lease, done: threading.Event) -> None:
    """Say every few seconds that this run is alive: the lease goes on from what is answered."""
    while not done.wait(BEAT_SECONDS):
        try:
            lease.ends = _say(channel)
        except (OSError, ValueError):
            lease.lost = True
            return


def _say(channel: "paramiko.Channel") -> float:
    """Say that this run is alive; give the time at which its lease ends.

    What is said is the time at which it is said, and comes back: an answer that is late brings
    nothing new.
    """
    channel.settimeout(LEASE_SECONDS)  # a beat that nobody takes is no beat
    channel.sendall(f"{boot_seconds()}\n".encode())
    beat = float(read_line(channel, timeout_seconds=LEASE_SECONDS))
    return min(beat, boot_seconds()) + LEASE_SECONDS


def _release(channel: "paramiko.Channel") -> None:
    with contextlib.suppress(OSError):  # a broken channel has released the lock by itself
        channel.sendall(b"bye\n")
        deadline = time.monotonic() + BEAT_SECONDS
        while not channel.exit_status_ready() and time.monotonic() < deadline:
            time.sleep(0.02)
    _hang_up(channel)


def _hang_up(channel: "paramiko.Channel") -> None:
    channel.close()
    channel.get_transport().close()
