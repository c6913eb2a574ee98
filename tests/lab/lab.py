"""Two origins, one recovery host and a name server, on this machine and nowhere else."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import hosts, names
from tests.lab.cgroup import Cgroup
from tests.lab.disk import Shelf, unmount
from tests.lab.hosts import Origin
from tests.lab.image import GENERATIONS, ensure_image
from tests.lab.machine import Machine
from tests.lab.network import Network, sh
from tests.lab.trouble import LabError

__all__ = ["Lab", "Origin"]

STATE = Path("/var/lib/relevo-lab")


class Lab:
    """The hosts of one lab; several labs may run side by side under other names."""

    def __init__(self, name: str = "", generation: str = "") -> None:
        self.name = name or os.environ.get("RELEVO_LAB_NAME", "relevo")
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", self.name):
            raise LabError(
                f"{self.name!r} cannot name a lab",
                hint="use small letters, digits, - and _, a letter first",
            )
        chosen = generation or os.environ.get("RELEVO_LAB_GENERATION", "bullseye")
        if chosen not in GENERATIONS:
            raise LabError(f"no generation {chosen!r}", hint=f"use one of {', '.join(GENERATIONS)}")
        self.generation = GENERATIONS[chosen]
        self.folder = STATE / self.name
        self.network = Network(self.name)
        self.key = self.folder / "key"
        self.zone, self.tsig_name, self.tsig_secret = names.ZONE, names.KEY, names.SECRET

    @classmethod
    def attach(cls, name: str = "") -> Self:
        """Find a lab that is up, whoever started it."""
        state = cls(name).folder / "lab.json"
        if not state.exists():
            raise LabError(
                f"no lab {state.parent.name!r} is up", hint="start it: python -m tests.lab up"
            )
        known = json.loads(state.read_text())
        lab = cls(state.parent.name, known["generation"])
        lab.image = Path(known["image"])
        return lab

    @cached_property
    def image(self) -> Path:
        return ensure_image(self.generation)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.folder / "disks")

    def machine(self, name: str) -> Machine:
        """Give a host by its name."""
        if name not in hosts.NUMBERS:
            raise LabError(f"no host {name!r}", hint=f"there are {', '.join(hosts.NUMBERS)}")
        number, (user, port) = hosts.NUMBERS[name], hosts.SSH[name]
        return Machine(name, number, self.network, self.folder, self.image, user, port)

    @property
    def uno(self) -> Origin:
        return hosts.uno(self.machine("uno"), self.generation)

    @property
    def dos(self) -> Origin:
        return hosts.dos(self.machine("dos"), self.generation)

    @property
    def respaldo(self) -> Machine:
        return self.machine("respaldo")

    @property
    def origins(self) -> tuple[Origin, Origin]:
        return self.uno, self.dos

    @property
    def machines(self) -> list[Machine]:
        return [self.machine(name) for name in hosts.NUMBERS]

    @property
    def nameserver(self) -> str:
        return self.network.address(names.NUMBER)

    def host_key(self, machine: Machine) -> str:
        return machine.host_key

    def up(self) -> Self:
        """Boot every host from a fresh layer."""
        image = self.image
        self.down()
        self.folder.mkdir(parents=True)
        known = {"generation": self.generation.suite, "image": str(image)}
        (self.folder / "lab.json").write_text(json.dumps(known))
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "relevo lab", "-f", str(self.key))
        self.network.up()
        self.shelf.up()
        records = {"cliente1": self.uno.address, "cliente2": self.dos.address}
        names.start(self.folder, self.network, image, records)
        _in_parallel(self.fresh, hosts.NUMBERS)
        return self

    def fresh(self, name: str) -> None:
        """Boot one host from a fresh layer, and wait until it serves."""
        machine = self.machine(name)
        machine.remove()
        machine.mount()
        self._furnish(machine)
        machine.boot()
        if failed := machine.failed_units():
            raise LabError(f"{name} booted with {', '.join(failed)} failed:\n{machine.excerpt()}")
        machine.heal()
        machine.wait_for_port(machine.ssh_port)
        for origin in self.origins:
            if origin.machine == machine:
                machine.wait_for_port(origin.http_port)

    def reset(self, machine: Machine) -> None:
        """Throw away all that a host wrote, and boot it as new."""
        self.fresh(machine.name)

    def _furnish(self, machine: Machine) -> None:
        hosts.furnish(machine, self.key.with_suffix(".pub").read_text(), self.nameserver)
        if machine == self.uno.machine:
            hosts.furnish_uno(self.uno)
        elif machine == self.dos.machine:
            hosts.furnish_dos(self.dos)
        else:
            hosts.furnish_recovery(machine, self.generation)

    def partition(self, a: Machine, b: Machine, *, one_way: bool = False) -> None:
        """Let nothing through between two hosts (or from the first to the second)."""
        self.network.partition(a.name, b.name, image=self.image, one_way=one_way)

    def mend(self, a: Machine, b: Machine) -> None:
        """Let two hosts talk again."""
        self.network.mend(a.name, b.name, image=self.image)

    def down(self) -> None:
        """Leave nothing behind: no process, mount, namespace, cable or file."""
        group = Cgroup.of(self.name)
        group.kill()
        self.network.down()
        group.remove()
        for mount in reversed(_mounts_under(self.folder)):
            unmount(Path(mount))
        self.shelf.down()
        for left in Path("/run/systemd/nspawn").glob(f"*/{self.network.namespace('')}*"):
            shutil.rmtree(left, ignore_errors=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()


def _in_parallel(action: Callable[[str], None], over: Iterable[str]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(action, over))


def _mounts_under(folder: Path) -> list[str]:
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [where for where in mounted if where.startswith(f"{folder}/")]
