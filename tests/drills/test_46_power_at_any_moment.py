"""The power is cut at a random moment of a procedure, at a random end: nothing is half there.

What the disk holds is looked at before the host boots again: no file that Relevo has named without
its content, no record, program, unit or configuration that cannot be read. Then the same procedure
is run again, and has to end well. `make drill-power` does it with N seeds, and keeps what it saw.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from blocks.instance import OdooInstance
from tests import killing
from tests.lab.client import Client
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, forget_documents
from tests.stack import Stack

SEEDS = range(int(os.environ.get("RELEVO_CUTS", "2")))
RESULTS = os.environ.get("RELEVO_CUT_RESULTS", "")
ENDS = ("origin", "recovery")
# What is under way, the procedure that is run again, and for how long at most it goes on.
ACTS = {
    "follow": ("rsync-filestore", 8.0),
    "failover": ("failover", 8.0),
    "failback": ("failback", 20.0),
    "upgrade": ("replicate", 8.0),
    "replicate": ("replicate", 20.0),
}
END_SECONDS = 120
# Programs of another release, which replicate puts right.
OLDER = 'for each in /usr/local/lib/relevo/*; do if [ -f "$each" ]; then echo >>"$each"; fi; done'
# Arguments: a filestore, or nothing; an odoo.conf. Names what has its name and not its content.
LOOK = r"""
import glob, hashlib, json, os, re, sys, zipfile
def read(path):
    with open(path, "rb") as file:
        return file.read()
def bad_record(path):
    try:
        json.loads(read(path))
    except ValueError:
        return True
    return False
found = {"files": [], "records": [], "installed": []}
# Not Odoo's own checklist, whose files are marks and empty.
for path in glob.glob(sys.argv[1] + "/*/[0-9a-f][0-9a-f]*/*") if sys.argv[1] else ():
    name = os.path.basename(path)
    if re.fullmatch("[0-9a-f]{40}", name) and hashlib.sha1(read(path)).hexdigest() != name:
        found["files"].append(path)
for path in glob.glob("/var/lib/relevo/**/*.json", recursive=True) + glob.glob(
    "/etc/relevo/**/*.json", recursive=True
):
    if os.path.isfile(path) and bad_record(path):
        found["records"].append(path)
for pattern in (
    "/usr/local/lib/relevo/*", "/etc/systemd/system/*relevo*", "/etc/systemd/system/odoo_*",
    "/etc/systemd/system/*/relevo*.conf", "/etc/postgresql/*/*/conf.d/relevo*.conf",
    "/etc/nginx/sites-available/vps_*", "/etc/nginx/relevo/*/*", "/etc/tmpfiles.d/relevo*",
    sys.argv[2],
):
    for path in glob.glob(pattern):
        if os.path.isfile(path):
            text = read(path)
            if not text or path.endswith(".pyz") and not zipfile.is_zipfile(path):
                found["installed"].append(path)
print(json.dumps(found))
"""


def _look(machine: Machine, conf: object, filestore: str = "") -> dict[str, list[str]]:
    """What is wrong on the disk of a host that is off."""
    said = machine.offline("python3", "-c", LOOK, filestore, str(conf))
    found: dict[str, list[str]] = json.loads(said)
    return found


@dataclass(frozen=True)
class World:
    """An instance, replicated, with nothing scheduled."""

    pair: Pair
    instance: OdooInstance
    inventory: Path

    @property
    def machines(self) -> tuple[Machine, Machine]:
        return self.pair.origin.machine, self.pair.recovery


@pytest.fixture
def world(
    uno: Pair, stack: Stack, blocks: dict[str, OdooInstance], inventory_path: Path
) -> Iterator[World]:
    with stack.unscheduled():
        yield World(uno, blocks[uno.name], inventory_path)
        forget_documents(uno.at_origin)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_power_cut_at_any_moment_leaves_nothing_half_there(
    world: World, customer: Callable[[Pair], Client], tmp_path: Path, seed: int
) -> None:
    chance, said = random.Random(seed), tmp_path / "said"
    act, end = list(ACTS)[seed % len(ACTS)], chance.choice(ENDS)
    procedure, longest = ACTS[act]
    machine = world.machines[ENDS.index(end)]
    place = world.instance.origin if end == "origin" else world.instance.recovery
    if act == "failback":
        _again(world, "failover", said)
    elif act == "upgrade":
        for each in world.machines:
            each.run("sh", "-c", OLDER)
    else:
        customer(world.pair)
    for each in world.machines:
        each.run("sync")
    process = killing.begun(world.inventory, world.pair.name, procedure, said)
    seconds = chance.uniform(0.3, longest)
    time.sleep(seconds)
    machine.kill()
    # Odoo itself syncs nothing: what it was writing when its own host died is not ours.
    judged = end != ("recovery" if act == "failback" else "origin") and act != "failover"
    filestore = str(place.odoo.data_dir / "filestore") if judged else ""
    found = _look(machine, place.odoo.config, filestore)
    step = _last_step(said)
    _end(process)
    machine.boot()
    begun = time.monotonic()
    _again(world, procedure, said)
    took = time.monotonic() - begun
    if act == "failover":
        _again(world, "failback", said)
    facts = {
        "seed": seed, "act": act, "end": end, "after_seconds": round(seconds, 2),
        "step": step, **{name: len(each) for name, each in found.items()},
        "ended_again_in": round(took, 1),
    }  # fmt: skip
    if RESULTS:
        with Path(RESULTS).open("a") as results:
            results.write(json.dumps(facts) + "\n")
    print(facts)
    assert found == {"files": [], "records": [], "installed": []}
    wait_until(world.pair.is_home, "it is home", 120)


def _end(process: ForkServerProcess) -> None:
    """Let the run find out by itself that a host has gone; one that waits for it is killed."""
    process.join(END_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()


def _last_step(said: Path) -> str:
    lines = [line for line in said.read_text().splitlines() if line[:1].isdigit()]
    return lines[-1] if lines else ""


def _again(world: World, procedure: str, said: Path) -> None:
    end = killing.killed_at(world.inventory, world.pair.name, procedure, 0, said)
    assert end == killing.DONE, said.read_text()[-3000:]
