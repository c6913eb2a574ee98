"""Hosts as they were: each accident begins from the same disks."""

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.machine import Machine
from tests.lab.network import sh


def take(machines: Iterable[Machine], into: Path) -> None:
    """Stop what writes in good order, switch off, and keep the disks."""
    machines = list(machines)
    for machine in machines:
        units = ("odoo.service", "odoo_*.service", "postgresql@*.service")
        machine.run("systemctl", "stop", *units, check=False)
        machine.run("sync")
    beside = into.with_name(f"{into.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for machine in machines:
        machine.kill()
        sh("cp", "-a", str(machine.upper), str(beside / machine.name))
    beside.rename(into)


def restore(machines: Iterable[Machine], kept: Path) -> None:
    """Put the disks back, and boot."""

    def one(machine: Machine) -> None:
        machine.kill()
        if os.path.ismount(machine.root):
            sh("umount", "-R", str(machine.root))
        for layer in ("upper", "work"):
            shutil.rmtree(machine.upper.with_name(layer), ignore_errors=True)
        sh("cp", "-a", str(kept / machine.name), str(machine.upper))
        machine.boot()
        machine.heal()

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, machines))
