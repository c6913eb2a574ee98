"""How long customers wait in a planned move: by hand, to the recovery host, and home again.

Each host says itself when its Odoo answered: the outage is from the last answer of the one to the
first answer of the other. All clocks of a lab are this machine's.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.bench_rto import BY_HAND, COUNTED, PORT, ROUNDS, STEP, met, prepared
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.stack import ROOT, Stack

WANTED = 1.5  # times by hand
FIGURES = ROOT / "docs" / "benchmarks" / "move.json"
# Both are over within the deadline, whatever happens; each says one time, or nothing.
LAST = (
    "end=$(($(date +%s) + 300)); "
    "while curl -s -o /dev/null -m 2 http://127.0.0.1:$1/web/login; "
    "do at=$(date +%s.%N); sleep 0.02; [ $(date +%s) -lt $end ] || exit 1; done; echo $at"
)
FIRST = (
    "end=$(($(date +%s) + 300)); "
    "while ! curl -s -o /dev/null -m 5 http://127.0.0.1:$1/web/login; "
    "do sleep 0.02; [ $(date +%s) -lt $end ] || exit 1; done; date +%s.%N"
)
STOP = "systemctl stop $1 && systemctl stop $2"
SHOWN_SECONDS = 0.05
PAGE = """\
# Seconds for which customers wait in a planned move

`make bench-move`, {when}, {cores} cores, load {load:.1f} at first, {rounds} rounds: median (each).
The outage is from the last answer of Odoo at the one host to its first answer at the other.

| way | seconds without an answer | times by hand | wanted | |
|---|---|---|---|---|
{table}

By hand is what a person with perfect memory types: stop Odoo, stop PostgreSQL, promote, start Odoo,
wait. Both directions are compared with that of the way there.

| step of a move | there: median seconds | home: median seconds |
|---|---|---|
{steps}

What stands before the stop of Odoo costs customers nothing: the plan, the copy of sources and
packages, the trial of the build, all files but the last.
"""


class Bench:
    """A move by hand, one by Relevo, and the way home, from the same beginning each."""

    def __init__(self, lab: Lab, stack: Stack, path: Path) -> None:
        self.lab, self.stack, self.path = lab, stack, path
        self.seconds: dict[str, list[float]] = {}
        self.steps: dict[str, dict[str, list[float]]] = {"there": {}, "home": {}}

    def measure(self) -> None:
        for number in range(ROUNDS):
            self._note("by hand", self._there(self.by_hand))
            self.stack.complete("failback/vps_uno")
            self._note("switchover", self._there(lambda: self.switchover("recovery", "there")))
            home = lambda: self.switchover("origin", "home")  # noqa: E731
            self._note("switchover, home", self._home(home))
            said = {way: round(took[-1], 1) for way, took in self.seconds.items()}
            print(f"round {number + 1}: {said}", flush=True)

    def _note(self, way: str, took: float) -> None:
        self.seconds.setdefault(way, []).append(took)

    def _there(self, act: Callable[[], None]) -> float:
        _, port = self.lab.uno.odoo
        return _outage((self.lab.uno.machine, port), (self.lab.respaldo, PORT), act)

    def _home(self, act: Callable[[], None]) -> float:
        _, port = self.lab.uno.odoo
        return _outage((self.lab.respaldo, PORT), (self.lab.uno.machine, port), act)

    def by_hand(self) -> None:
        uno = self.lab.uno
        postgres = f"postgresql@{uno.version}-{uno.cluster}"
        uno.machine.run("sh", "-ec", STOP, "stop", uno.unit, postgres)
        version = str(self.lab.generation.postgres)
        self.lab.respaldo.run("sh", "-ec", BY_HAND, "hand", version, str(PORT))

    def switchover(self, to: str, way: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench_counted", "--inventory", str(self.path),
             "switchover", "vps_uno", "--to", to, "--yes", "--reason", "the bench moves it"],
            env={
                **kept, "PYTHONPATH": str(ROOT), "RELEVO_LOG_DIR": str(self.stack.folder),
                "RELEVO_RUNTIME": "shell",
            },
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        steps = self.steps[way]
        for what, many, took in COUNTED.findall(done.stderr):
            steps.setdefault(f"{what}: how many", []).append(float(many))
            steps.setdefault(f"{what}: median milliseconds", []).append(float(took))
        _, _, listed = (done.stdout + done.stderr).partition("## Steps")
        for title, seconds in STEP.findall(listed):
            steps.setdefault(title, []).append(float(seconds))


def _outage(old: tuple[Machine, int], new: tuple[Machine, int], act: Callable[[], None]) -> float:
    """Say how long neither host answered while something was done."""
    said: dict[str, float] = {}

    def watch(script: str, place: tuple[Machine, int]) -> None:
        machine, port = place
        said[script] = float(machine.run("sh", "-c", script, "probe", str(port)).stdout)

    threads = [
        threading.Thread(target=watch, args=each, daemon=True)
        for each in ((LAST, old), (FIRST, new))
    ]
    for thread in threads:
        thread.start()
    time.sleep(1)
    act()
    for thread in threads:
        thread.join(timeout=310)
    return said[FIRST] - said[LAST]


def main() -> int:
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="relevo-bench-") as folder,
        prepared(Path(folder)) as (lab, stack, path),
    ):
        bench = Bench(lab, stack, path)
        bench.measure()
    FIGURES.write_text(json.dumps({"seconds": bench.seconds, "steps": bench.steps}) + "\n")
    page = _page(bench, load)
    print(page)
    FIGURES.with_suffix(".md").write_text(page)
    return 0


def _page(bench: Bench, load: float) -> str:
    least, rows = statistics.median(bench.seconds["by hand"]), []
    for way, seconds in bench.seconds.items():
        each = ", ".join(f"{took:.1f}" for took in seconds)
        median = statistics.median(seconds)
        wanted = f"at most {WANTED} | {met(median <= WANTED * least)}" if way != "by hand" else "|"
        rows.append(f"| {way} | {median:.1f} ({each}) | {median / least:.1f} | {wanted} |")
    return PAGE.format(
        when=f"{datetime.now(UTC):%Y-%m-%d}", cores=os.cpu_count(), load=load, rounds=ROUNDS,
        table="\n".join(rows), steps="\n".join(_steps(bench.steps)),
    )  # fmt: skip


def _steps(steps: dict[str, dict[str, list[float]]]) -> list[str]:
    """A line for each step that takes long enough to be seen, in the order of the runbook."""
    lines = []
    for title in dict.fromkeys(title for way in steps.values() for title in way):
        medians = [statistics.median(way.get(title, [0.0])) for way in steps.values()]
        if max(medians) >= SHOWN_SECONDS:
            lines.append(f"| {title} | {medians[0]:.1f} | {medians[1]:.1f} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
