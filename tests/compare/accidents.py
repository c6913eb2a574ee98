"""The ten accidents: what happens, and what everybody is asked to do about it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.compare.stage import Stage
from tests.lab.machine import Machine, wait_until

# Waits inside a host until a program has written so much, and kills it if told to.
WATCH = """
for i in $(seq 2400); do
    for p in $(pgrep -x "$1"); do
        w=$(awk '/^wchar/ {print $2}' /proc/$p/io 2>/dev/null)
        if [ "${w:-0}" -gt "$2" ]; then [ "$3" = kill ] && kill -9 $p; exit 0; fi
    done
    sleep 0.05
done
exit 1
"""
BALLAST = "CREATE TABLE {} AS SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, {}) AS n"
STALE_SECONDS, PARTED_SECONDS = 20, 15


@dataclass(frozen=True)
class Accident:
    """One story, the same for all."""

    name: str
    happens: str
    asked: str
    play: Callable[[Stage], None]


def _watch(machine: Machine, program: str, megabytes: int, then: str) -> bool:
    words = (program, str(megabytes * 1_000_000), then)
    return machine.run("sh", "-c", WATCH, "watch", *words, check=False).returncode == 0


def _recycle(stage: Stage) -> None:
    """Drop the slot at the origin, write, and have its checkpoints recycle the WAL."""
    ask = stage.pair.at_origin

    def dropped() -> bool:
        ask("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
        ask("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
        return ask("SELECT count(*) FROM pg_replication_slots") == "0"

    wait_until(dropped, "the slot is dropped", 120)  # wal_sender_timeout is 60 s
    ask(BALLAST.format("ballast", 200_000), "cliente1")
    for _ in range(2):
        ask("SELECT pg_switch_wal(); CHECKPOINT")


def power_loss(stage: Stage) -> None:
    stage.load()
    stage.origin.kill()
    stage.order_failover()
    stage.origin.boot()
    stage.order_home()


def comes_back(stage: Stage) -> None:
    stage.some_are_stale()
    stage.load()
    stage.origin.kill()
    stage.order_failover()
    stage.origin.boot()
    time.sleep(STALE_SECONDS)
    stage.order_home()


def partition(stage: Stage) -> None:
    stage.some_are_stale()
    stage.load()
    stage.lab.partition(stage.origin, stage.recovery)
    stage.load(5)
    stage.order_failover()
    time.sleep(PARTED_SECONDS)
    stage.lab.mend(stage.origin, stage.recovery)
    time.sleep(PARTED_SECONDS)
    stage.order_home()


def planned(stage: Stage) -> None:
    stage.load()
    stage.order_move()
    stage.order_home()


def cut_off(stage: Stage) -> None:
    stage.load()
    stage.origin.cut()
    stage.order_failover()
    stage.pair.at_origin("CREATE TABLE only_here AS SELECT generate_series(1, 1000)", "cliente1")
    stage.origin.heal()
    time.sleep(PARTED_SECONDS)
    stage.order_home()


def wal_is_gone(stage: Stage) -> None:
    stage.load()
    stage.origin.cut()
    stage.order_failover()
    _recycle(stage)
    stage.origin.heal()
    stage.order_home()


def rewind_is_killed(stage: Stage) -> None:
    stage.load()
    stage.origin.kill()
    stage.order_failover()
    stage.pair.at_recovery(BALLAST.format("ballast", 250_000), "cliente1")
    stage.origin.boot()
    killed: list[bool] = []

    def watch() -> None:
        killed.append(_watch(stage.origin, "pg_rewind", 40, "kill"))

    killer = threading.Thread(target=watch, daemon=True)
    killer.start()
    stage.order_home()
    done = "was killed in the middle" if killed and killed[0] else "never wrote anything"
    stage.seen.notes.append(f"pg_rewind {done}")


def replay_is_paused(stage: Stage) -> None:
    stage.load()
    stage.pair.at_recovery("SELECT pg_wal_replay_pause()")
    stage.load(10)
    stage.origin.kill()
    stage.order_failover()
    stage.origin.boot()
    stage.order_home()


def slot_is_lost(stage: Stage) -> None:
    stage.load()
    stage.lab.partition(stage.origin, stage.recovery)
    _recycle(stage)
    stage.lab.mend(stage.origin, stage.recovery)
    stage.load()
    noticed = stage.who.notices()
    stage.seen.notes.append(f"its check {'saw' if noticed else 'did not see'} the lost standby")
    mending = threading.Thread(target=stage.who.repair, daemon=True)
    mending.start()
    if _watch(stage.recovery, "pg_basebackup", 60, "leave"):
        stage.seen.notes.append("the origin died while the standby was copied anew")
    stage.origin.kill()
    mending.join(timeout=180)
    stage.order_failover()


def contrary(stage: Stage) -> None:
    stage.load()
    stage.order_both()
    stage.order_home()


ACCIDENTS = (
    Accident(
        "power loss", "the origin loses its power while a customer writes",
        "failover; when the origin has power again, home at once", power_loss,
    ),
    Accident(
        "partition", "the link between the two hosts is cut; half of the customers reach both "
        "hosts and follow DNS, half know only the origin; 15 s after the failover it is mended",
        "failover; 15 s after the mending, home", partition,
    ),
    Accident(
        "the dead comes back", "the origin loses its power, and boots by itself after the "
        f"failover; half of the customers still go there, for {STALE_SECONDS} s",
        "failover; then home", comes_back,
    ),
    Accident("planned move", "nothing is broken, a customer writes", "move, then home", planned),
    Accident(
        "two operators", "nothing is broken, a customer writes",
        "a move and a failover by two operators at the same moment; then home", contrary,
    ),
    Accident(
        "WAL is gone", "cut off; the origin's slot is dropped and its checkpoints recycle the WAL "
        "that a rewind would need", "failover; then home", wal_is_gone,
    ),
    Accident(
        "rewind is killed", "power loss; 250 MB are written at the recovery host; pg_rewind is "
        "killed (SIGKILL) when it has written 40 MB", "failover; then home, again if it failed",
        rewind_is_killed,
    ),
    Accident(
        "replay is paused", "somebody has paused replay at the recovery host; then power loss",
        "failover, resuming replay where told to; then home", replay_is_paused,
    ),
    Accident(
        "slot is lost", "the link is down, the slot is dropped, 200 MB are written and the WAL is "
        "recycled; the standby is copied anew, and the origin dies for good in the middle of it",
        "its own check and its own repair; then failover", slot_is_lost,
    ),
    Accident(
        "cut off", "the origin's cable is out; it works on, and a job of its own commits 1000 "
        "rows; after the failover the cable is in again",
        "failover; 15 s later, home", cut_off,
    ),
)  # fmt: skip
