"""Two origins, one recovery host and a name server, on this machine and nowhere else."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab import names
from tests.lab.image import GENERATIONS, Generation, chroot, ensure_image
from tests.lab.machine import Machine
from tests.lab.network import Network, sh

STATE = Path("/var/lib/relevo-lab")
ADMINS = {"uno": "admin", "dos": "sysop", "respaldo": "admin"}


@dataclass(frozen=True)
class Origin:
    """What the inventory has to know of an origin."""

    machine: Machine
    cluster: str
    port: int
    data_dir: str
    http_port: int
    ssh_port: int
    ssh_user: str

    @property
    def odoo(self) -> tuple[str, int]:
        return self.machine.address, self.http_port


class Lab:
    """The hosts of one lab; several labs may run side by side under other names."""

    def __init__(self, name: str = "", generation: str = "") -> None:
        self.name = name or os.environ.get("RELEVO_LAB_NAME", "relevo")
        chosen = generation or os.environ.get("RELEVO_LAB_GENERATION", "bullseye")
        self.generation: Generation = GENERATIONS[chosen]
        self.folder = STATE / self.name
        self.network = Network(self.name)
        self.key = self.folder / "key"

    def machine(self, name: str) -> Machine:
        number = {"uno": 11, "dos": 12, "respaldo": 20}[name]
        return Machine(name, number, self.network, self.folder, ensure_image(self.generation))

    @property
    def uno(self) -> Origin:
        data_dir = "/var/lib/odoo/.local/share/Odoo"
        return Origin(self.machine("uno"), "main", 5432, data_dir, 8069, 22, "admin")

    @property
    def dos(self) -> Origin:
        """The other one is different wherever a host can be."""
        return Origin(self.machine("dos"), "clientes", 5544, "/srv/odoo/data", 8169, 5253, "sysop")

    @property
    def respaldo(self) -> Machine:
        return self.machine("respaldo")

    @property
    def nameserver(self) -> str:
        return self.network.address(53)

    @property
    def machines(self) -> list[Machine]:
        return [self.machine(name) for name in ADMINS]

    def host_key(self, machine: Machine) -> str:
        return " ".join(machine.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])

    def up(self) -> "Lab":
        """Boot every host from a fresh layer."""
        ensure_image(self.generation)
        self.down()
        self.folder.mkdir(parents=True)
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "relevo lab", "-f", str(self.key))
        self.network.up()
        names.start(self.folder, self.network, ensure_image(self.generation))
        self._in_parallel(self.fresh, [machine.name for machine in self.machines])
        return self

    def fresh(self, name: str) -> None:
        """Boot one host from a fresh layer."""
        machine = self.machine(name)
        machine.remove()
        machine.mount()
        self._furnish(machine)
        machine.boot()

    def _in_parallel(self, action: object, over: list[str]) -> None:
        with ThreadPoolExecutor(max_workers=len(over)) as pool:
            list(pool.map(action, over))  # type: ignore[arg-type]

    def _furnish(self, machine: Machine) -> None:
        root, admin = machine.root, ADMINS[machine.name]
        machine.write("/etc/hostname", f"{machine.name}\n")
        machine.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {machine.name}\n")
        chroot(root, "ssh-keygen", "-A", quiet=True)
        chroot(root, "useradd", "--create-home", "--shell", "/bin/bash", admin)
        home = root / "home" / admin / ".ssh"
        home.mkdir()
        (home / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        chroot(root, "chown", "-R", f"{admin}:{admin}", f"/home/{admin}/.ssh")
        machine.write(f"/etc/sudoers.d/{admin}", f"{admin} ALL=(ALL) NOPASSWD:ALL\n")
        {"uno": self._furnish_uno, "dos": self._furnish_dos, "respaldo": self._furnish_recovery}[
            machine.name
        ](machine)

    def _furnish_uno(self, machine: Machine) -> None:
        chroot(machine.root, "systemctl", "enable", "odoo", "postgresql", quiet=True)

    def _furnish_dos(self, machine: Machine) -> None:
        root, version = machine.root, str(self.generation.postgres)
        chroot(root, "systemctl", "enable", "odoo", "postgresql", quiet=True)
        machine.write("/etc/ssh/sshd_config.d/port.conf", f"Port {self.dos.ssh_port}\n")
        chroot(root, "pg_renamecluster", version, "main", self.dos.cluster, quiet=True)
        conf = f"/etc/postgresql/{version}/{self.dos.cluster}/postgresql.conf"
        machine.write(conf, machine.read(conf) + f"\nport = {self.dos.port}\n")
        moved = root / self.dos.data_dir.lstrip("/")
        moved.parent.mkdir(parents=True)
        sh("cp", "-a", str(root / self.uno.data_dir.lstrip("/")), str(moved))
        odoo = machine.read("/etc/odoo/odoo.conf")
        odoo = odoo.replace(self.uno.data_dir, self.dos.data_dir).replace("8069", "8169")
        odoo = odoo.replace("db_port = False", f"db_port = {self.dos.port}")
        machine.write("/etc/odoo/odoo.conf", odoo)

    def _furnish_recovery(self, machine: Machine) -> None:
        root, version = machine.root, str(self.generation.postgres)
        chroot(root, "pg_dropcluster", version, "main")
        chroot(root, "useradd", "--create-home", "--home-dir", "/opt/odoouser", "odoouser")
        chroot(root, "systemctl", "enable", "nginx", quiet=True)
        (root / "etc/nginx/sites-enabled/default").unlink()
        shutil.rmtree(root / "opt/odoo")
        shutil.rmtree(root / "var/lib/odoo/.local")

    def down(self) -> None:
        """Leave nothing behind: no process, mount, namespace, bridge or file."""
        for process in sh("pgrep", "-f", f"systemd-nspawn.*{self.network.namespace('')}", check=False).split():
            for child in sh("pgrep", "-P", process, check=False).split():
                subprocess.run(["kill", "-9", child], check=False)
        names.stop(self.folder)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([each for each in mounts if each.startswith(f"{self.folder}/")]):
            sh("umount", "--lazy", mount)
        self.network.down()
        shutil.rmtree(self.folder, ignore_errors=True)
