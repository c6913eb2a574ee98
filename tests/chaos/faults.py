"""What goes wrong: each fault happens at once, and gives what mends it later."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tests.lab import clock
from tests.lab.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.rig import Rig
    from tests.lab.machine import Machine

    Mend = Callable[[], None]

SMALL_DISK = "/var/lib/postgresql"
HOUR = 3600
FULL = f"{SMALL_DISK}/full"
# Only a disk of its own: the layers of all hosts share one with this machine.
FILL = (
    'mountpoint -q "$1" || exit 1; '
    'fallocate -l "$(df -B1 --output=avail "$1" | tail -n 1)" "$2"; cat /dev/zero >>"$2"'
)


def small_disk(machine: Machine, gigabytes: int = 3) -> None:
    """Give a host that is off a disk of its own for PostgreSQL, which can be filled."""
    machine.added(SMALL_DISK, gigabytes).mount()
    machine.offline("chown", "postgres:postgres", SMALL_DISK)


def _quietly(action: Callable[[], object]) -> None:
    """Do it where it can be done: a host that is off has no process to stop."""
    with suppress(LabError):
        action()


def _silenced(rig: Rig, action: Mend, mend: Mend) -> Mend:
    """Note from when until when the two hosts could not talk."""
    since = time.time()
    action()

    def undo() -> None:
        mend()
        rig.unreachable.append((since, time.time()))

    return undo


def _parted(rig: Rig, a: Machine, b: Machine, *, one_way: bool = False) -> Mend:
    lab = rig.pair.lab
    cut, mend = partial(lab.partition, a, b, one_way=one_way), partial(lab.mend, a, b)
    return _silenced(rig, cut, mend)


def _off(rig: Rig, machine: Machine, action: Mend) -> Mend:
    with rig.power:
        action()

    def undo() -> None:
        with rig.power:
            machine.boot()

    return undo


def _unplug(rig: Rig, machine: Machine) -> None:
    """Cut the power; Odoo syncs no document that it writes, so the last ones may go with it."""
    rig.cuts.append(time.time())
    machine.kill()


def _shut_down(rig: Rig) -> None:
    """Stop what writes in good order, then the power: systemd would wait for the probe inside."""
    origin, units = rig.pair.origin, f"postgresql@{rig.pair.origin.version}-*"
    _quietly(lambda: origin.machine.run("systemctl", "stop", origin.unit, units, check=False))
    _quietly(lambda: origin.machine.run("sync", check=False))
    origin.machine.kill()


def _dark(rig: Rig) -> Mend:
    """A recovery host that is off can tell a returning origin nothing."""
    recovery = rig.pair.recovery
    boot = _off(rig, recovery, lambda: _unplug(rig, recovery))
    return _silenced(rig, lambda: None, boot)


def _frozen(machine: Machine, pattern: str) -> Mend:
    """Stop one process of PostgreSQL, which stays there and says nothing."""
    _quietly(lambda: machine.run("pkill", "-STOP", "-f", pattern, check=False))
    return lambda: _quietly(lambda: machine.run("pkill", "-CONT", "-f", pattern, check=False))


def _paused(rig: Rig) -> Mend:
    _quietly(lambda: rig.pair.at_recovery("SELECT pg_wal_replay_pause()"))
    return lambda: _quietly(lambda: rig.pair.at_recovery("SELECT pg_wal_replay_resume()"))


def _without_slot(rig: Rig) -> Mend:
    name = rig.pair.name
    sql = (
        f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
        f"WHERE slot_name = '{name}' AND active; SELECT pg_sleep(0.05); "
        f"SELECT pg_drop_replication_slot('{name}')"
    )
    _quietly(lambda: rig.pair.at_origin(sql))
    return lambda: None


def _spoiled(rig: Rig) -> Mend:
    path = f"{SMALL_DISK}/{rig.pair.lab.generation.postgres}/{rig.pair.name}/postgresql.auto.conf"
    line = "primary_conninfo = 'host=192.0.2.1 port=1 user=nobody'"
    append = ("sh", "-c", 'test -e "$1" && echo "$2" >>"$1"', "spoil", path, line)
    _quietly(lambda: rig.pair.recovery.run(*append, check=False))
    return lambda: None


def _full(rig: Rig) -> Mend:
    machine = rig.pair.recovery
    _quietly(lambda: machine.run("sh", "-c", FILL, "fill", SMALL_DISK, FULL, check=False))
    return lambda: _quietly(lambda: machine.run("rm", "-f", FULL))


def _wrong_clock(rig: Rig, machine: Machine, seconds: int) -> Mend:
    """Set a host's clock, and set it right again: it jumps twice."""

    def turn(ahead: int) -> None:
        with rig.power:
            clock.set_ahead(machine, ahead)
        if machine == rig.pair.origin.machine:
            rig.clock.append((time.time(), ahead))

    turn(seconds)
    return lambda: turn(0)


def _without_worker(rig: Rig) -> Mend:
    """Kill the worker with its runs: those that were under way never say how they ended."""
    rig.stack.kill_worker()
    rig.bury()
    return rig.stack.start_worker


def _pressed(rig: Rig, procedure: str = "") -> Mend:
    rig.press(procedure or rig.ended.story.button)
    return lambda: None


FAULT: dict[str, Callable[[Rig], Mend]] = {
    "kill origin": lambda rig: _off(
        rig, rig.pair.origin.machine, lambda: _unplug(rig, rig.pair.origin.machine)
    ),
    "reboot origin": lambda rig: _off(rig, rig.pair.origin.machine, lambda: _shut_down(rig)),
    "kill recovery": _dark,
    "kill worker": _without_worker,
    "cut origin": lambda rig: _silenced(
        rig, rig.pair.origin.machine.cut, rig.pair.origin.machine.heal
    ),
    "cut recovery": lambda rig: _silenced(rig, rig.pair.recovery.cut, rig.pair.recovery.heal),
    "partition": lambda rig: _parted(rig, rig.pair.origin.machine, rig.pair.recovery),
    "origin unheard": lambda rig: _parted(
        rig, rig.pair.origin.machine, rig.pair.recovery, one_way=True
    ),
    "recovery unheard": lambda rig: _parted(
        rig, rig.pair.recovery, rig.pair.origin.machine, one_way=True
    ),
    "stop walreceiver": lambda rig: _frozen(rig.pair.recovery, "postgres.*walreceiver"),
    "stop walsender": lambda rig: _frozen(rig.pair.origin.machine, "postgres.*walsender"),
    "pause replay": _paused,
    "drop slot": _without_slot,
    "spoil auto.conf": _spoiled,
    "full disk": _full,
    "origin an hour ahead": lambda rig: _wrong_clock(rig, rig.pair.origin.machine, HOUR),
    "origin an hour behind": lambda rig: _wrong_clock(rig, rig.pair.origin.machine, -HOUR),
    "recovery an hour ahead": lambda rig: _wrong_clock(rig, rig.pair.recovery, HOUR),
    "recovery an hour behind": lambda rig: _wrong_clock(rig, rig.pair.recovery, -HOUR),
    "press again": _pressed,
    "press failback": lambda rig: _pressed(rig, "failback"),
    "press failover": lambda rig: _pressed(rig, "failover"),
}
