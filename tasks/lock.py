"""One procedure at a time on an instance.

The lock is a flock on the recovery host, held by a process at the end of an ssh channel. A killed
worker closes the channel; a worker whose machine died stops sending heartbeats. Either way the
lock is free within LEASE_SECONDS, and a worker that comes back from the dead finds out before its
next command.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from blocks.errors import Busy, Unreachable
from blocks.instance import OdooInstance
from blocks.lease import HELD, Lease, regardless
from blocks.shell import Shell, read_line
from tasks.job import stop_job
from tasks.policy import log

if TYPE_CHECKING:
    import paramiko

LEASE_SECONDS = 30
BEAT_SECONDS = 5
YIELD_SECONDS = 60
# What gives way to a procedure: copies of files, and what is built ahead.
YIELDING = ("rsync-filestore", "reconcile-filestore", "restore-filestore", "build-service")

HOLD = """
install -d -m 755 /run/relevo
exec 9>>"/run/relevo/$1.lock"
flock --nonblock 9 || { echo "busy $(cat "/run/relevo/$1.holder")"; exit 0; }
echo "$$ $2" >"/run/relevo/$1.holder"
echo held
while read -r -t "$3" beat && [ "$beat" != bye ]; do :; done
"""

HOLDER = """
test -e "$1.lock" || exit 0
flock --nonblock "$1.lock" true || cut -d' ' -f2- "$1.holder" 2>/dev/null || echo somebody
"""


def holder(instance: OdooInstance) -> str:
    """Name the procedure that holds an instance now; nothing where none does."""
    argv = ("sh", "-c", HOLDER, "holder", f"/run/relevo/{instance.name}")
    return instance.recovery.host.shell().run(argv, check=False).stdout.strip()


def taken_over(instance: OdooInstance) -> bool:
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
    instance: OdooInstance, procedure: str, *, preempt: bool = False, beside: bool = False
) -> Iterator[None]:
    """Hold the instance while a procedure runs; raise Busy when another one does.

    What gives way is waited for, or ended with `preempt`. `beside` is for what
    touches nothing of the instance's own: it excludes only itself.
    """
    shell = instance.recovery.host.shell()
    name = f"{instance.name}.{procedure}" if beside else instance.name
    channel = _acquire(shell, instance, procedure, name, preempt=preempt)
    channel.settimeout(LEASE_SECONDS)  # a beat that nobody takes is no beat
    lease, done = Lease(instance.name), threading.Event()
    beats = threading.Thread(target=_beat, args=(channel, lease, done), daemon=True)
    token = HELD.set(lease)
    beats.start()
    try:
        yield
    finally:
        done.set()
        HELD.reset(token)
        beats.join(timeout=BEAT_SECONDS)
        _release(channel)


def _acquire(
    shell: Shell, instance: OdooInstance, procedure: str, name: str, *, preempt: bool
) -> "paramiko.Channel":
    deadline = time.monotonic() + YIELD_SECONDS
    while True:
        argv = ("bash", "-c", HOLD, "hold", name, procedure, str(LEASE_SECONDS))
        channel = shell.hold(argv)
        answer = _answer(shell, channel)
        if answer == "held":
            return channel
        _hang_up(channel)
        holder = answer.removeprefix("busy").strip() or "nobody known"
        yields = holder.endswith(YIELDING)
        if preempt and yields:
            _end(shell, instance, holder)
        if not yields or time.monotonic() > deadline:
            raise Busy(
                f"{instance.name} is busy on {shell.host}: {holder} (process and procedure)",
                hint="wait for it to end, or cancel that run and press this again; a dead worker's "
                f"lock is free after {LEASE_SECONDS} s",
            )
        time.sleep(0.5)


def _answer(shell: Shell, channel: "paramiko.Channel") -> str:
    try:
        return read_line(channel)
    except OSError as error:
        _hang_up(channel)
        raise Unreachable(
            f"{shell.host} does not say whether the lock is free: {error}",
            hint="retry this run",
        ) from error


def _end(shell: Shell, instance: OdooInstance, holder: str) -> None:
    process, _, procedure = holder.partition(" ")
    log().info("ending %s of %s, which is under way", procedure, instance.name)
    if process.isdecimal() and int(process) > 1:
        shell.run(("kill", process), check=False)
    for kind in ("filestore", "sources", "requirements"):
        stop_job(shell, f"{instance.name}-{kind}")
    for verb in ("pass", "reconcile", "restore"):
        stop_job(shell, f"{instance.name}-engine-{verb}")


def _beat(channel: "paramiko.Channel", lease: Lease, done: threading.Event) -> None:
    """Say every few seconds that this run is alive; notice when nobody listens any more."""
    last = time.monotonic()
    while not done.wait(BEAT_SECONDS):
        try:
            channel.sendall(b"beat\n")
        except OSError:
            lease.lost = True
        if channel.closed or channel.exit_status_ready() or _stale(last):
            lease.lost = True
        last = time.monotonic()


def _stale(last: float) -> bool:
    """Tell whether this process was stopped for longer than its lease."""
    return time.monotonic() - last > LEASE_SECONDS


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
