"""How long until Odoo answers: by hand, by the shell, and by the button, side by side.

The origin is dead in each round. What is timed is asked on the recovery host itself, by one probe
that is the same for all: the first answer over HTTP.

Two releases are compared by two benches that take turns: both with `RELEVO_TURN` naming one file,
each from its own checkout; then the figures of one are `RELEVO_BEFORE` for the page of the other.
"""

import contextlib
import fcntl
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.bench_counted import MARK
from tests.lab import inventory
from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.stack import ROOT, Stack

ROUNDS = int(os.environ.get("RELEVO_ROUNDS", "3"))
PORT = 8169
IMPORTS = "import deployments.cli, flows.failover"
RUNTIMES = {"shell": {"RELEVO_RUNTIME": "shell"}, "button": {}}
FIRST = 1.5  # seconds until the first step
# How many times the bare minimum each way may take.
WANTED = {"relevo failover": 1.7, "the button": 3.0}
PROBE = (
    "while ! curl -s -o /dev/null -m 5 http://127.0.0.1:$1/web/login; "
    "do sleep 0.05; done; date +%s.%N"
)
BY_HAND = (
    "pg_ctlcluster $1 vps_uno promote && systemctl start odoo_vps_uno.service && "
    "until curl -s -o /dev/null http://127.0.0.1:$2/web/login; do sleep 0.05; done"
)
REASON = "the bench cut its power"
FIGURES = ROOT / "docs" / "benchmarks" / "rto.json"
STEP = re.compile(r"^\| ([^|]+) \| (\d+\.\d) \|$", re.MULTILINE)
COUNTED = re.compile(rf"^{MARK} (\w+) (\d+) ([\d.]+)$", re.MULTILINE)
SHOWN_SECONDS = 0.05  # a step that takes less is counted with the others
PAGE = """\
# Seconds of an outage that are ours

`make bench-rto`, {when}, {cores} cores, load {load:.1f} at first, {rounds} rounds: median (each).
The origin's power is cut each time; the clock runs from the press of the button, or from Enter in
the shell, to the first answer of Odoo over HTTP on the recovery host.

| way | seconds until Odoo answers | times the bare minimum | wanted | |
|---|---|---|---|---|
{table}

{steps}
From the button to the first step running: {first} s; wanted: at most 1.5 s, {met}.
The start of Python alone, with Relevo imported: {shell} s in the shell, which loads no Prefect, and
{button} s in a run that could not be forked.

The bare minimum is what a person with perfect memory types: promote, start the unit, wait. It
proves nothing, notes nothing, keeps no second procedure out and asks nobody. What the others
take beyond it hardly depends on Odoo: where Odoo takes longer to start, the ratio falls.

## What stands in the way, and what was done
- Importing Prefect: the shell does without, and the process of a run is forked from one that has
  imported it. lexicon is imported only when DNS is changed.
- The worker asks the server: every second (`PREFECT_WORKER_QUERY_SECONDS=1`), not every ten.
- A person reads the plan: the process waits meanwhile, and goes on within a second of the yes.
- ssh: one connection to a host, shared by all steps; psql is called past Debian's Perl script.
- Pausing the schedules, the checkpoint and `systemctl enable` come after the start of Odoo.
- Where the shell's {of_shell[0]} s went: {of_shell[1]} s the start of Python, {of_shell[2]} s the
  bare minimum, {of_shell[3]} s guards, proofs and records. It gives {commands} commands over ssh,
  before and after that answer.
- Where the button's {of_button[0]} s went: {of_button[1]} s until its first step (the worker asks
  once a second, then the process of the run is forked), {of_button[2]} s the bare minimum,
  {of_button[3]} s guards, proofs and records.
- Open: an origin that drops packets is waited for until ssh gives up; a guard must not guess.

On a busy machine all of it takes several times as long, the start of processes most of all;
compare the ways within one table only.
"""


def main() -> int:
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="relevo-bench-") as folder,
        prepared(Path(folder)) as (lab, stack, path),
    ):
        measured = Bench(lab, stack, path).measure()
    FIGURES.write_text(json.dumps({"seconds": measured.seconds, "steps": measured.steps}) + "\n")
    page = _page(measured, load)
    print(page)
    FIGURES.with_suffix(".md").write_text(page)
    return 0


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[tuple[Lab, Stack, Path]]:
    """Have a lab with a server and a replicated instance; give the inventory's path besides."""
    folder.chmod(0o755)
    lab, stack = Lab(), Stack(folder / "prefect")
    try:
        lab.up()
        stack.start()
        path = inventory.write(lab, folder)
        stack.run("--inventory", str(path), "apply")
        stack.start_worker()
        stack.complete("replicate/vps_uno")
        yield lab, stack, path
    finally:
        stack.stop()
        lab.down()


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Let no other bench measure meanwhile, and let it measure next."""
    path = os.environ.get("RELEVO_TURN")
    if not path:
        yield
        return
    with Path(path).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    time.sleep(2)


class Bench:
    """The three ways, each from the same beginning."""

    def __init__(self, lab: Lab, stack: Stack, path: Path) -> None:
        self.lab, self.stack, self.path = lab, stack, path
        self.recovery: Machine = lab.respaldo
        self.first: list[float] = []
        self.steps: dict[str, list[float]] = {}
        self.seconds: dict[str, list[float]] = {}

    def measure(self) -> "Bench":
        ways = {"by hand": self.by_hand, "relevo failover": self.shell, "the button": self.button}
        seconds = self.seconds = {way: [] for way in ways}
        for number in range(ROUNDS):
            for way, act in ways.items():
                with turn():
                    seconds[way].append(self._timed(act))
                print(f"round {number + 1}, {way}: {seconds[way][-1]:.1f} s", flush=True)
        imports = {who: [_import(env) for _ in range(5)] for who, env in RUNTIMES.items()}
        seconds |= {"first step": self.first, **imports}
        return self

    def _timed(self, act: Callable[[], None]) -> float:
        """Cut the power, act, and say when the probe had its answer; then go home again."""
        self.lab.uno.machine.kill()
        answered: list[float] = []

        def probe() -> None:
            said = self.recovery.run("sh", "-c", PROBE, "probe", str(PORT)).stdout
            answered.append(float(said))

        watch = threading.Thread(target=probe, daemon=True)
        watch.start()
        begun = time.time()
        act()
        watch.join(timeout=120)
        self.lab.uno.machine.boot()
        self.stack.complete("failback/vps_uno")
        return answered[0] - begun

    def by_hand(self) -> None:
        version = str(self.lab.generation.postgres)
        self.recovery.run("sh", "-ec", BY_HAND, "hand", version, str(PORT))

    def shell(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench_counted", "--inventory", str(self.path), "failover",
             "vps_uno", "--yes", "--origin-is-down", "--reason", REASON],
            env={
                **kept, "PYTHONPATH": str(ROOT), "RELEVO_LOG_DIR": str(self.stack.folder),
                "RELEVO_RUNTIME": "shell",
            },
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        for what, many, took in COUNTED.findall(done.stderr):
            self.steps.setdefault(f"{what}: how many", []).append(float(many))
            self.steps.setdefault(f"{what}: median milliseconds", []).append(float(took))
        _, _, listed = (done.stdout + done.stderr).partition("## Steps")
        for title, took in STEP.findall(listed):
            self.steps.setdefault(title, []).append(float(took))

    def button(self) -> None:
        begun = time.time()
        run = self.stack.press("failover/vps_uno", origin_is_down=True, reason=REASON)
        self.stack.require_complete(run)
        started = self.stack.first_step(run)
        self.first.append(datetime.fromisoformat(started).timestamp() - begun)


def _import(env: dict[str, str]) -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, cwd=ROOT, env={**os.environ, **env})
    return time.monotonic() - begun


def _page(measured: Bench, load: float) -> str:
    all_seconds = dict(measured.seconds)
    first = all_seconds.pop("first step")
    imports = {who: _said(all_seconds.pop(who)) for who in RUNTIMES}
    least = statistics.median(all_seconds["by hand"])
    rows = []
    for way, seconds in all_seconds.items():
        times = statistics.median(seconds) / least
        wanted = f"at most {WANTED[way]} | {met(times <= WANTED[way])}" if way in WANTED else "|"
        rows.append(f"| {way} | {_said(seconds)} | {times:.1f} | {wanted} |")
    before, median = _before(), statistics.median
    for way, seconds in before["seconds"].items():
        if way in all_seconds:
            rows.append(f"| {way}, before | {_said(seconds)} | | | |")
    shell, button = (median(all_seconds[way]) for way in WANTED)
    return PAGE.format(
        of_shell=_shares(shell, median(measured.seconds["shell"]), least),
        of_button=_shares(button, median(first), least),
        commands=f"{median(measured.steps['commands: how many']):.0f}",
        when=f"{datetime.now(UTC):%Y-%m-%d}", cores=os.cpu_count(), load=load, rounds=ROUNDS,
        table="\n".join(rows), first=_said(first), met=met(round(median(first), 1) <= FIRST),
        steps=_steps(measured.steps, before["steps"]), **imports,
    )  # fmt: skip


def _shares(all_of_it: float, before: float, least: float) -> list[str]:
    """How long it took, until it could begin, and by hand; and what is left."""
    return [f"{each:.1f}" for each in (all_of_it, before, least, all_of_it - before - least)]


def _before() -> dict[str, dict[str, list[float]]]:
    """Give the figures of the release that took turns with this one, if there was one."""
    path = os.environ.get("RELEVO_BEFORE")
    if not path:
        return {"seconds": {}, "steps": {}}
    read: dict[str, dict[str, list[float]]] = json.loads(Path(path).read_text())
    return read


def _steps(now: dict[str, list[float]], before: dict[str, list[float]]) -> str:
    """Where the seconds of the shell go: the median of each step, in the order of the runbook."""
    lines = [
        "| step of `relevo failover` | median seconds | before |",
        "|---|---|---|",
    ]
    rest = 0.0
    for title in [*now, *(each for each in before if each not in now)]:
        medians = [statistics.median(each.get(title, [0.0])) for each in (now, before)]
        if max(medians) < SHOWN_SECONDS:
            rest += medians[0]
            continue
        cells = [
            f"{m:.1f}" if title in which else ""
            for m, which in zip(medians, (now, before), strict=True)
        ]
        lines.append(f"| {title} | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, f"| all others | {rest:.1f} | |", ""])


def met(yes: bool) -> str:
    return "met" if yes else "**not met**"


def _said(seconds: list[float]) -> str:
    every = ", ".join(f"{each:.1f}" for each in seconds)
    return f"{statistics.median(seconds):.1f} ({every})"


if __name__ == "__main__":
    sys.exit(main())
