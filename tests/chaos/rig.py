"""Play a story on real hosts, do an operator's ordinary next steps, and judge what is left."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import judge
from tests.chaos.faults import FAULT
from tests.chaos.story import Fault, Story
from tests.lab.client import NO_VACUUM, Client, audit
from tests.lab.image import DATABASES
from tests.lab.trouble import LabError
from tests.oracles import Pair, forget_documents, no_strangers, overlaps, probing, sound
from tests.stack import Stack
from tests.stack_api import FINAL

ATTEMPTS = 10
BUTTON_SECONDS, DISTURBED_SECONDS = 400, 240


@dataclass
class Ended:
    """What a story led to: violations are what this is all about."""

    story: Story
    seconds: float = 0
    acknowledged: int = 0
    lost: int = 0
    accepted: int = 0
    steps: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Rig:
    """One instance of a lab, a client of its own, and somebody at the buttons."""

    def __init__(self, pair: Pair, stack: Stack, folder: Path, *, synchronous: str = "off") -> None:
        self.pair: Pair = pair
        self.stack: Stack = stack
        self.folder, self.synchronous = folder, synchronous
        self.power = threading.Lock()  # a host that boots is not switched off meanwhile
        self.unreachable: list[judge.Span] = []
        self.clock: list[tuple[float, int]] = []  # since when the origin's is how far ahead
        self.cuts: list[float] = []
        self.runs: dict[str, str] = {}
        self.dead: set[str] = set()
        self.ended = Ended(Story(0, "", False, ()))

    def begin(self) -> None:
        """Make the instance whole, and keep Odoo's own collector from its documents."""
        for database in DATABASES:
            self.pair.at_origin(NO_VACUUM, database)
        self.stack.complete(f"replicate/{self.pair.name}")

    def play(self, story: Story) -> Ended:
        """Tell a story from a good state to a good state."""
        self.ended, begun = Ended(story), time.time()
        self.unreachable, self.clock, self.cuts, self.runs, self.dead = [], [], [], {}, set()
        journal = self.folder / f"{story.seed}-{begun:.0f}.journal"
        client = Client(self._serving, DATABASES, journal)
        try:
            if story.begins_away:
                self._complete("switchover", to="recovery")
            client.start()
            client.wait_until_acknowledged(5)
            with probing(self.pair) as answers:
                self._disturb(story)
                self._bring_home()
                client.wait_until_acknowledged(3)
            client.stop()
            self._judge(answers, journal, begun)
        except Exception as error:  # noqa: BLE001  # a story that cannot be told is a finding too
            self.ended.violations.append(f"{type(error).__name__}: {str(error)[:900]}")
        finally:
            if client.is_alive():
                client.stop()
        self.ended.seconds = time.time() - begun
        return self.ended

    def press(self, procedure: str, **parameters: object) -> str:
        """Press a button of the instance, and do not wait."""
        if procedure == "switchover" and not parameters:
            parameters = {"to": "origin" if self.ended.story.begins_away else "recovery"}
        run = self.stack.press(f"{procedure}/{self.pair.name}", **parameters)
        self.runs[run] = procedure
        self.ended.steps.append(procedure)
        return run

    def bury(self) -> None:
        """Note which runs died with their worker: nobody waits for them."""
        time.sleep(3)  # the server may still be at work on the last words of the dead
        for run in self.runs:
            if self.stack.state(run)["type"] in {"RUNNING", "PENDING"}:
                self.dead.add(run)

    def _serving(self) -> tuple[str, int]:
        """Where customers are sent: to the recovery host while its cluster accepts writes."""
        with suppress(LabError):
            if self.pair.at_recovery("SELECT pg_is_in_recovery()") == "f":
                return self.pair.recovery.address, self.pair.http_port
        return self.pair.origin.odoo

    def _disturb(self, story: Story) -> None:
        """Press the button while things go wrong, and wait until both have had their course."""
        undo = [self._inflict(fault) for fault in story.faults[: story.before]]
        if story.forced:
            self.press(story.button, origin_is_down=True, reason="seen to be down")
        else:
            self.press(story.button)
        undo += [self._inflict(fault) for fault in story.faults[story.before :]]
        for thread in undo:
            thread.join()
        for run in list(self.runs):
            if run not in self.dead:
                self._hear(run, DISTURBED_SECONDS)

    def _inflict(self, fault: Fault) -> threading.Thread:
        """Do something bad after a while, and mend it later."""
        time.sleep(fault.after)
        mend = FAULT[fault.what](self)

        def later() -> None:
            time.sleep(fault.lasts)
            try:
                mend()
            except (LabError, RuntimeError, TimeoutError) as error:
                self.ended.violations.append(f"{fault.what} was not mended: {error}")

        thread = threading.Thread(target=later)
        thread.start()
        return thread

    def _hear(self, run: str, timeout_seconds: float) -> dict[str, str]:
        """Wait for a run's end, which has to be good or a sentence."""
        with suppress(TimeoutError):
            self.stack.wait(run, timeout_seconds)
        state = self.stack.state(run)
        what = f"{self.runs[run]}: {state['type']} {str(state['message'])[:400]}"
        self.ended.said.append(what)
        if state["type"] not in FINAL:
            self.ended.violations.append(f"{self.runs[run]} has no end: {state['type']}")
        elif run not in self.dead and (wrong := judge.half_said(state)):
            self.ended.violations.append(f"{self.runs[run]} ended {wrong}")
        return state

    def _complete(self, procedure: str, **parameters: object) -> dict[str, str]:
        """Press a button while nothing is broken any more, and see that done means done."""
        run = self.press(procedure, **parameters)
        state = self._hear(run, BUTTON_SECONDS)
        if state["type"] == "COMPLETED" and not self._holds(procedure, parameters):
            self.ended.violations.append(f"{procedure} is done, and its state is not there")
        return state

    def _holds(self, procedure: str, parameters: dict[str, object]) -> bool:
        """Whether what a procedure promises is so."""
        if procedure == "check":
            return True
        if procedure == "failover" or parameters.get("to") == "recovery":
            return self._role("recovery") == "f"
        return self._is_home()

    def _bring_home(self) -> None:
        """What an operator does: look who serves, and press the button that the hint names."""
        said: list[str] = []
        for _ in range(ATTEMPTS):
            if self._is_home():
                return
            procedure, parameters = self._next_step()
            state = self._complete(procedure, **parameters)
            said.append(f"{procedure}: {state['type']} {str(state['message'])[:300]}")
            time.sleep(2)
        if not self._is_home():
            raise AssertionError("never came home: " + " | ".join(said))

    def _next_step(self) -> tuple[str, dict[str, object]]:
        origin, recovery = self._role("origin"), self._role("recovery")
        if recovery == "f":
            return "failback", {}
        if origin == "f" and self._half_done():
            return "failback", {}  # check says so, and replicate refuses
        if origin == "f" and recovery == "t" and not self._odoo_runs():
            # check says: start it there, or run failover.
            self.pair.origin.machine.run("systemctl", "enable", "--now", self.pair.origin.unit)
            return "check", {}
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

    def _half_done(self) -> bool:
        begun = f"/var/lib/relevo/{self.pair.name}/failover.json"
        return self.pair.recovery.run("test", "-e", begun, check=False).returncode == 0

    def _odoo_runs(self) -> bool:
        """Now, and after a boot."""
        script = 'systemctl is-active "$1" && systemctl is-enabled "$1"'
        argv = ("sh", "-c", script, "runs", self.pair.origin.unit)
        return self.pair.origin.machine.run(*argv, check=False).stdout == "active\nenabled\n"

    def _is_home(self) -> bool:
        try:
            return self._odoo_runs() and not self._half_done() and self.pair.is_home()
        except LabError:
            return False

    def _judge(self, answers: list[list[tuple[float, str]]], journal: Path, begun: float) -> None:
        wrong = self.ended.violations
        wrong += ["the probe of one end has not run" for each in answers if len(each) < 20]
        both = [span for span in overlaps(*answers) if not judge.excused(span, self.unreachable)]
        if both:
            wrong.append(f"two writers at {[round(at - begun, 1) for at, _ in both[:5]]}")
        seen = audit(*self.pair.origin.odoo, journal)
        forced = [each for each in self._receipts(begun) if each["kind"] == "forced"]
        self.ended.acknowledged, self.ended.lost = len(seen.acknowledged), len(seen.lost_rows)
        self.ended.accepted = len(forced)
        # Where commits always wait, nothing was acknowledged that the other host had not.
        waited = self.synchronous == "wait"
        said = [] if waited else [judge.stated(each) for each in forced]
        wrong += [
            f"{lost.name} was acknowledged at {lost.at - begun:.1f} and is lost, not within "
            f"{[(round(a - begun, 1), round(b - begun, 1)) for a, b in said]}"
            for lost in judge.lost_without_a_word(
                seen.lost_rows, said=said, unreachable=self.unreachable, clock=self.clock
            )
        ]
        wrong += [
            f"the file of {each.name} is broken"
            for each in seen.broken_files
            if not judge.went_with_the_power(each.at, self.cuts)
        ]
        if seen.broken_files:
            forget_documents(self.pair.at_origin)
        # What the engine answered to a worker that was killed lies there until somebody asks again.
        state = self._complete("check")
        if state["type"] != "COMPLETED":
            wrong.append(f"check: {state['message']}")
        no_strangers(self.pair)
        sound(self.pair)

    def _receipts(self, begun: float) -> list[dict[str, str]]:
        """The receipts that were written during the story."""
        there = f"/var/lib/relevo/{self.pair.name}/receipts"
        lines = self.pair.recovery.run("sh", "-c", f"cat {there}/*.json").stdout.splitlines()
        facts = [json.loads(json.loads(line)["text"]) for line in lines]
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun))
        return [each for each in facts if each["time"] >= since]

    def evidence(self) -> str:
        """All that was said, for whoever looks into a violation."""
        parts = [str(self.ended)]
        for run, procedure in self.runs.items():
            with suppress(OSError):
                parts.append(f"== {procedure}: {self.stack.state(run)}\n{self.stack.said(run)}")
        version = self.pair.lab.generation.postgres
        for machine, cluster in (
            (self.pair.origin.machine, self.pair.origin.cluster),
            (self.pair.recovery, self.pair.name),
        ):
            log = f"/var/log/postgresql/postgresql-{version}-{cluster}.log"
            for command in (
                f"tail -n 150 {log}; pg_lsclusters",
                "journalctl --no-pager --boot --lines=3000 | grep -v runuser | tail -n 250",
                f"ls -la /var/lib/relevo/{self.pair.name} /var/lib/postgresql/{version}",
                "grep -rhs 'filestore gc' /var/log/odoo; journalctl -q -g 'filestore gc'",
                "systemctl list-units --all --no-pager 'relevo-*'",
            ):
                with suppress(LabError):
                    said = machine.run("sh", "-c", command, check=False).stdout
                    parts.append(f"== {machine.name}: {command}\n{said}")
        return "\n".join(parts)
