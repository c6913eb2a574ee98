"""A run is stopped in the middle of its work and woken when another has acted: it does no more.

A few of the stories among the other drills; `make drill-suspended` tells 50, and keeps what was
seen in docs/benchmarks/suspended.jsonl.
"""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import Machine
from tests.suspended import (
    AT_RECOVERY,
    COPY,
    FILES,
    KINDS,
    LEASE_SECONDS,
    MARKS,
    NEW,
    OLD,
    REFUSED,
    Run,
)  # fmt: skip

NAME = "vps_uno"
SEEDS = range(int(os.environ.get("RELEVO_SUSPENDED_SEEDS", "4")))
RESULTS = os.environ.get("RELEVO_SUSPENDED_RESULTS", "")
WAYS = ("stopped", "stopped", "stopped", "pre-empted", "origin frozen", "recovery frozen")


@contextmanager
def _frozen(machine: Machine) -> Iterator[None]:
    """Stop every process of a host, as a machine is that its hypervisor suspends."""
    there = machine.cgroup.processes()
    for process in there:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in there:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def _marked(machine: Machine) -> list[str]:
    return machine.run("cat", str(MARKS)).stdout.splitlines()


def _late(machine: Machine) -> list[str]:
    """The marks that the old run left on a host after the first of the new one."""
    lines = _marked(machine)
    first = next(at for at, line in enumerate(lines) if line.startswith(NEW))
    late = [line for line in lines[first:] if not line.startswith(NEW)]
    since = lines[first].split()[-1]
    find = ("find", str(FILES), "-type", "f", "-not", "-name", f"{NEW}-*", "-newermt", f"@{since}")
    return late + machine.run(*find).stdout.split()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_was_stopped_does_nothing_more_when_another_has_acted(
    lab: Lab, inventory_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    kind, way = list(KINDS)[seed % len(KINDS)], chance.choice(WAYS)
    hosts = (lab.uno.machine, lab.respaldo)
    for machine in hosts:
        script = f"rm -rf {MARKS} {FILES}; mkdir {FILES}; touch {MARKS}; chmod 666 {MARKS}"
        machine.run("sh", "-ec", script)
    old = Run(inventory_path, NAME, COPY if way == "pre-empted" else OLD, kind)
    new: Run | None = None
    try:
        old.wait_until("acted")
        time.sleep(chance.uniform(0, 0.7))
        if way == "stopped":
            old.stop()
            time.sleep(LEASE_SECONDS + 1)
            new = Run(inventory_path, NAME, NEW, "all")
        elif way == "pre-empted":
            new = Run(inventory_path, NAME, NEW, "all")
        else:
            with _frozen(lab.uno.machine if way == "origin frozen" else lab.respaldo):
                time.sleep(chance.uniform(0, 0.2))  # a command may be on its way
                old.stop()
                time.sleep(LEASE_SECONDS + 1)
                new = Run(inventory_path, NAME, NEW, "all")
                if way == "origin frozen":
                    new.wait_until("held")
        new.wait_until("acted")
        if way != "pre-empted":
            threading.Timer(chance.uniform(0, 0.5), old.wake).start()
        status, said = old.end()
        time.sleep(1)  # what is on its way now would arrive
        late = [mark for machine in hosts for mark in _late(machine)]
        goes_on = new.process.poll() is None
        if RESULTS:
            facts = {"seed": seed, "way": way, "kind": kind, "late": len(late), "status": status}
            with Path(RESULTS).open("a") as results:
                results.write(json.dumps(facts) + "\n")
        assert late == [], f"the old run, {way} at {kind}, left {late}: {said}"
        assert status == REFUSED, said
        assert "lost its lock" in said
        assert goes_on, "nothing has happened to the new run"
        where = lab.respaldo if kind in AT_RECOVERY else lab.uno.machine
        assert kind == "files" or any(OLD in each or COPY in each for each in _marked(where))
        assert new.end()[0] == 0, "it ends by itself: a command of it would be in the next story"
    finally:
        old.kill()
        if new is not None:
            new.kill()
