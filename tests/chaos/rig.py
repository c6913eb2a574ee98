"""Play a story on real hosts, do an operator's ordinary next steps, and judge what is left."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.story import Fault, Story
from tests.lab.client import Client, audit
from tests.lab.image import DATABASES
from tests.lab.machine import Machine
from tests.lab.trouble import LabError
from tests.oracles import Pair, no_strangers, overlaps, probing
from tests.stack import Stack

HELD_WITHIN = 10
SLACK_SECONDS = 3
ATTEMPTS = 8
AWAY = {"failover", "switchover"}


@dataclass
class Ended:
    """What a story led to: violations are what this is all about."""

    story: Story
    seconds: float = 0
    acknowledged: int = 0
    lost: int = 0
    forced: int = 0
    steps: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Rig:
    """One instance of a lab, a client of its own, and somebody at the buttons."""

    def __init__(self, pair: Pair, stack: Stack, folder: Path) -> None:
        self.pair, self.stack, self.folder = pair, stack, folder
        self.unreachable: list[tuple[float, float]] = []
        self.broken_since: float | None = None
        self.runs: list[str] = []
        self.ended = Ended(Story(0, "", False, ()))

    def play(self, story: Story) -> Ended:
        """Tell a story from a good state to a good state."""
        self.ended, begun = Ended(story), time.time()
        self.unreachable, self.broken_since, self.runs = [], None, []
        forced_before = self._forced()
        if story.begins_away:
            self._complete("switchover", to="recovery")
        journal = self.folder / f"{story.seed}.journal"
        client = Client(self._serving, DATABASES, journal)
        client.start()
        try:
            client.wait_until_acknowledged(5)
            with probing(self.pair) as answers:
                self._disturb(story)
                self._bring_home()
                client.wait_until_acknowledged(3)
            client.stop()
            self._judge(answers, journal, begun)
        except (LabError, TimeoutError, AssertionError) as error:
            self.ended.violations.append(f"{type(error).__name__}: {str(error)[:600]}")
        finally:
            client.stop()
        self.ended.forced = self._forced() - forced_before
        self.ended.seconds = time.time() - begun
        return self.ended

    def _serving(self) -> tuple[str, int]:
        """Where customers are sent: to the recovery host while its cluster accepts writes."""
        with suppress(LabError):
            if self.pair.at_recovery("SELECT pg_is_in_recovery()") == "f":
                return self.pair.recovery.address, self.pair.http_port
        return self.pair.origin.odoo

    def _press(self, procedure: str) -> str:
        more: dict[str, object] = {}
        if procedure == "switchover":
            more = {"to": "origin" if self.ended.story.begins_away else "recovery"}
        run = self.stack.press(
            f"{procedure}/{self.pair.name}", **more, **DECIDED.get(procedure, {})
        )
        self.runs.append(run)
        self.ended.steps.append(procedure)
        return run

    def _disturb(self, story: Story) -> None:
        self._press(story.procedure)
        undo: list[threading.Thread] = []
        for fault in story.faults:
            time.sleep(fault.after)
            undo.append(self._inflict(fault))
        for thread in undo:
            thread.join()
        for run in self.runs:
            with suppress(TimeoutError):
                self.stack.wait(run, 180)

    def _inflict(self, fault: Fault) -> threading.Thread:
        """Do something bad now, and mend it later."""
        if self.broken_since is None:
            self.broken_since = time.time()
        mend = FAULT[fault.what](self)

        def later() -> None:
            time.sleep(fault.lasts)
            mend()

        thread = threading.Thread(target=later)
        thread.start()
        return thread

    def _complete(self, procedure: str, **parameters: object) -> dict[str, object]:
        run = self.stack.press(
            f"{procedure}/{self.pair.name}", **DECIDED.get(procedure, {}), **parameters
        )
        self.ended.steps.append(procedure)
        return self.stack.wait(run, 400)

    def _bring_home(self) -> None:
        """What an operator does: look who serves, and press the button that the hint names."""
        said: list[str] = []
        for _ in range(ATTEMPTS):
            if self._is_home():
                return
            procedure, parameters = self._next_step()
            state = self._complete(procedure, **parameters)
            said.append(f"{procedure}: {state['type']} {str(state['message'])[:200]}")
            time.sleep(2)
        raise AssertionError("never came home: " + " | ".join(said))

    def _next_step(self) -> tuple[str, dict[str, object]]:
        origin, recovery = self._role("origin"), self._role("recovery")
        if recovery == "f":
            return "failback", {}
        if origin == "f":
            return "replicate", {}
        if recovery == "t" and origin == "":
            return "failover", {"origin_is_down": True, "reason": "chaos"}
        return "failback", {}

    def _role(self, end: str) -> str:
        """f for a primary, t for a standby, nothing for one that does not answer."""
        try:
            ask = self.pair.at_origin if end == "origin" else self.pair.at_recovery
            return ask("SELECT pg_is_in_recovery()")
        except LabError:
            return ""

    def _is_home(self) -> bool:
        try:
            up = self.pair.origin.machine.run(
                "systemctl", "is-active", self.pair.origin.unit, check=False
            )
            begun = f"/var/lib/relevo/{self.pair.name}/failover.json"
            closed = self.pair.recovery.run("test", "!", "-e", begun, check=False)
            good = up.stdout == "active\n" and closed.returncode == 0
            return good and self.pair.is_home()
        except LabError:
            return False

    def _forced(self) -> int:
        """How many receipts record an accepted loss."""
        there = f"/var/lib/relevo/{self.pair.name}/receipts"
        command = f"cat {there}/*.json | grep -c forced || :"
        return int(self.pair.recovery.run("sh", "-c", command).stdout or 0)

    def _judge(self, answers: list[list[tuple[float, str]]], journal: Path, begun: float) -> None:
        wrong = self.ended.violations
        both = [span for span in overlaps(*answers) if not self._excused(*span)]
        if both:
            wrong.append(f"two writers at {[round(at - begun, 1) for at, _ in both[:5]]}")
        seen = audit(*self.pair.origin.odoo, journal)
        self.ended.acknowledged, self.ended.lost = len(seen.acknowledged), len(seen.lost_rows)
        since = self.broken_since or time.time()
        allowed = since - SLACK_SECONDS if "forced" in self._receipts(begun) else float("inf")
        for lost in seen.lost_rows:
            if lost.at < allowed:
                wrong.append(f"{lost.name} was acknowledged at {lost.at - begun:.1f} and is lost")
        wrong += [f"the file of {each.name} is broken" for each in seen.broken_files]
        no_strangers(self.pair)
        state = self._complete("check")
        if state["type"] != "COMPLETED":
            wrong.append(f"check: {state['message']}")

    def _receipts(self, begun: float) -> list[str]:
        """The kinds of the receipts that were written during the story."""
        there = f"/var/lib/relevo/{self.pair.name}/receipts"
        lines = self.pair.recovery.run("sh", "-c", f"cat {there}/*.json").stdout.splitlines()
        facts = [json.loads(json.loads(line)["text"]) for line in lines]
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun))
        return [each["kind"] for each in facts if each["time"] >= since]

    def _excused(self, begin: float, end: float) -> bool:
        """A writer that nobody can reach is held within ten seconds of the healing."""
        return any(
            since <= begin and end <= until + HELD_WITHIN for since, until in self.unreachable
        )

    def off(self, action: Callable[[], None], mend: Callable[[], None]) -> Callable[[], None]:
        """Note from when until when the origin and the recovery host could not talk."""
        since = time.time()
        action()

        def undo() -> None:
            mend()
            self.unreachable.append((since, time.time()))

        return undo


DECIDED: dict[str, dict[str, object]] = {
    "failover": {"decide": "unattended"},
    "failback": {"decide": "unattended"},
}


def _stopped(machine: Machine, pattern: str) -> Callable[[], None]:
    """Freeze one process of PostgreSQL."""
    machine.run("pkill", "-STOP", "-f", pattern, check=False)
    return lambda: _thaw(machine, pattern)


def _thaw(machine: Machine, pattern: str) -> None:
    with suppress(LabError):
        machine.run("pkill", "-CONT", "-f", pattern, check=False)


def _quietly(action: Callable[[], object]) -> Callable[[], None]:
    def done() -> None:
        with suppress(LabError):
            action()

    return done


def _paused(rig: Rig) -> Callable[[], None]:
    paused = "SELECT pg_wal_replay_pause()"
    _quietly(lambda: rig.pair.at_recovery(paused))()
    return _quietly(lambda: rig.pair.at_recovery("SELECT pg_wal_replay_resume()"))


def _drop_slot(rig: Rig) -> Callable[[], None]:
    name = rig.pair.name
    sql = (
        f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
        f"WHERE slot_name = '{name}' AND active; SELECT pg_sleep(0.05); "
        f"SELECT pg_drop_replication_slot('{name}')"
    )
    _quietly(lambda: rig.pair.at_origin(sql))()
    return lambda: None


def _spoil(rig: Rig) -> Callable[[], None]:
    path = f"/var/lib/postgresql/{rig.pair.lab.generation.postgres}/{rig.pair.name}"
    line = "primary_conninfo = 'host=192.0.2.1 port=1 user=nobody'"
    _quietly(
        lambda: rig.pair.recovery.run(
            "sh", "-c", f'echo "$1" >> {path}/postgresql.auto.conf', "spoil", line
        )
    )()
    return lambda: None


def _kill_worker(rig: Rig) -> Callable[[], None]:
    rig.stack.kill_worker()
    return rig.stack.start_worker


def _again(procedure: str = "") -> "Callable[[Rig], Callable[[], None]]":
    def press(rig: Rig) -> Callable[[], None]:
        rig._press(procedure or rig.ended.story.procedure)
        return lambda: None

    return press


FAULT: dict[str, Callable[[Rig], Callable[[], None]]] = {
    "kill origin": lambda rig: rig.off(rig.pair.origin.machine.kill, rig.pair.origin.machine.boot),
    "reboot origin": lambda rig: rig.off(
        rig.pair.origin.machine.shutdown, rig.pair.origin.machine.boot
    ),
    "kill recovery": lambda rig: rig.off(rig.pair.recovery.kill, rig.pair.recovery.boot),
    "kill worker": _kill_worker,
    "cut origin": lambda rig: rig.off(rig.pair.origin.machine.cut, rig.pair.origin.machine.heal),
    "cut recovery": lambda rig: rig.off(rig.pair.recovery.cut, rig.pair.recovery.heal),
    "partition": lambda rig: rig.off(
        lambda: rig.pair.lab.partition(rig.pair.origin.machine, rig.pair.recovery),
        lambda: rig.pair.lab.mend(rig.pair.origin.machine, rig.pair.recovery),
    ),
    "stop walreceiver": lambda rig: _stopped(rig.pair.recovery, "postgres.*walreceiver"),
    "stop walsender": lambda rig: _stopped(rig.pair.origin.machine, "postgres.*walsender"),
    "pause replay": _paused,
    "drop slot": _drop_slot,
    "spoil auto.conf": _spoil,
    "press again": _again(),
    "press failback": _again("failback"),
    "press failover": _again("failover"),
}
