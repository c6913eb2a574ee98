"""One booted host: real systemd, real sshd, real PostgreSQL."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cgroup import Cgroup
from tests.lab.disk import Disk, unmount
from tests.lab.image import chroot
from tests.lab.network import Network, sh
from tests.lab.trouble import LabError

BOOT_SECONDS = 120
ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=dumb")
# systemd inside wants a pure unified hierarchy, which this machine need not have. A host that saw
# the disks of the others would keep those that are taken away.
NSPAWN = (
    "umount -R /sys/fs/cgroup 2>/dev/null || true; mount -t cgroup2 cgroup2 /sys/fs/cgroup; "
    'awk -v lab="$3/" -v root="$1" \'(index($1, "/dev/loop") == 1 || index($2, lab) == 1) '
    '&& $2 != root && index($2, root "/") != 1 { print $2 }\' /proc/mounts '
    "| tac | xargs -r umount --lazy; "
    'exec systemd-nspawn --quiet --directory="$1" --machine="$2" --boot --register=no '
    "--keep-unit --link-journal=no --resolv-conf=off --timezone=off --capability=CAP_NET_ADMIN "
    '--network-namespace-path="/run/netns/$2"'
)
# Finds a cluster by its port alone: its socket lies in the folder of all clusters or in one of its
# own, and belongs to the user of the cluster.
FIND_SOCKET = """
find_socket() {
    sockets=/var/run/postgresql
    for found in /run/relevo-postgresql/*/.s.PGSQL."$1"; do
        if [ -S "$found" ]; then sockets=${found%/*}; fi
    done
    owner=$(stat -c %U "$sockets/.s.PGSQL.$1" 2>/dev/null || echo postgres)
}
"""
# Debian's own `psql` is a Perl script that looks for the right one, at ten times the price.
PSQL = f"""
{FIND_SOCKET}
find_socket "$1"
for psql in /usr/lib/postgresql/*/bin/psql; do :; done
exec runuser -u "$owner" -- "$psql" -h "$sockets" -p "$1" -U postgres -d "$2" \\
    -XAtq -v ON_ERROR_STOP=1
"""
# What a drill has written is no victim of the power cut that follows.
WRITE = (
    'umask 077; mkdir -p "$(dirname "$1")"; cat >"$1"; '
    'if [ -n "$2" ]; then chown "$2:" "$1"; fi; if [ -n "$3" ]; then chmod "$3" "$1"; fi; '
    'sync "$1" "$(dirname "$1")"'
)


def wait_until(probe: Callable[[], object], what: str, timeout_seconds: float = 60) -> None:
    """Wait for a condition; fail with its name when the time is over."""
    begun = time.monotonic()
    while not probe():
        waited = time.monotonic() - begun
        if waited > timeout_seconds:
            raise TimeoutError(f"{what}: not within {timeout_seconds:.0f} s")
        # Asking takes from the processor what is waited for.
        time.sleep(min(0.1 + waited / 20, 0.5))


@dataclass(frozen=True)
class Machine:
    """A host of the lab, which can be cut off, killed and booted again."""

    name: str
    number: int
    network: Network
    folder: Path
    image: Path
    ssh_user: str
    ssh_port: int

    @property
    def address(self) -> str:
        return self.network.address(self.number)

    @property
    def root(self) -> Path:
        return self.folder / self.name / "root"

    @property
    def disk(self) -> Disk:
        """All that the host writes."""
        return Disk(self._shelf / "disk.img", self.folder / self.name / "disk")

    @property
    def upper(self) -> Path:
        """The layer over the image."""
        return self.disk.mounted / "upper"

    @property
    def _shelf(self) -> Path:
        return self.folder / "disks" / self.name

    def added(self, path: str, gigabytes: int = 3) -> Disk:
        """Name a disk of the host's own for one folder, which has no - in its name."""
        name = path.strip("/").replace("/", "-")
        return Disk(self._shelf / f"{name}.added", self.root / path.strip("/"), gigabytes)

    def _added(self) -> list[Disk]:
        return [self.added(each.stem.replace("-", "/")) for each in self._shelf.glob("*.added")]

    @property
    def console(self) -> Path:
        return self.folder / self.name / "console"

    @property
    def container(self) -> str:
        return self.network.namespace(self.name)

    @property
    def cgroup(self) -> Cgroup:
        return Cgroup.of(self.network.name, self.name)

    @property
    def host_key(self) -> str:
        """The host's own public key, as read on the host."""
        return " ".join(self.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])

    @property
    def is_running(self) -> bool:
        return self.pid() is not None

    def pid(self) -> int | None:
        """The host's own PID 1, seen from outside."""
        return self.cgroup.init()

    def mount(self) -> None:
        """Lay a fresh disk over the image, or the one that is there."""
        self.disk.mount()
        upper, work = self.upper, self.disk.mounted / "work"
        for layer in (upper, work, self.root):
            layer.mkdir(parents=True, exist_ok=True)
        if not os.path.ismount(self.root):
            options = f"lowerdir={self.image},upperdir={upper},workdir={work},redirect_dir=on"
            sh("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        for disk in self._added():
            disk.mount()

    def unmount(self) -> None:
        """Take the disks of a host that is off out."""
        unmount(self.root)
        for disk in (*self._added(), self.disk):
            disk.unmount()

    def boot(self, timeout_seconds: float = BOOT_SECONDS) -> None:
        """Start the host and wait until its systemd has nothing more to start."""
        if self.is_running:
            return
        self.mount()
        for disk in (*self._added(), self.disk):
            disk.sync()
        self.network.plug(self.name, self.number)
        self.cgroup.remove()
        self.cgroup.start(
            "unshare", "--mount", "--propagation", "private",
            "bash", "-ec", NSPAWN, "nspawn",
            str(self.root), self.container, str(self.folder.parent),
            log=self.console,
        )  # fmt: skip
        try:
            wait_until(self._has_booted, f"{self.name} has booted", timeout_seconds)
        except TimeoutError as error:
            raise LabError(f"{error}\n{self.excerpt()}") from error

    def _has_booted(self) -> bool:
        if not self.cgroup.processes():
            raise LabError(f"{self.name} died while it booted:\n{self.excerpt()}")
        if self.pid() is None:
            return False
        waiting = ("systemctl", "is-system-running", "--wait")
        said = self.run(*waiting, check=False, timeout_seconds=BOOT_SECONDS).stdout.strip()
        if said in {"maintenance", "stopping"}:
            raise LabError(f"{self.name} is in {said}:\n{self.excerpt()}")
        # A unit may fail on purpose: a fence does. Whoever minds asks for the failed ones.
        return said in {"running", "degraded"}

    def failed_units(self) -> list[str]:
        """Give the names of the units that failed."""
        command = ("systemctl", "list-units", "--failed", "--plain", "--no-legend")
        return [line.split()[0] for line in self.run(*command).stdout.splitlines()]

    def excerpt(self) -> str:
        """Give the last words of the host, for an error message."""
        if self.is_running:
            command = ("journalctl", "--boot", "--no-pager", "--lines=40", "--priority=warning")
            return self.run(*command, check=False).stdout
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return text[-3000:]

    def kill(self) -> None:
        """Cut the power: all stops at one instant, and what was not synced is gone.

        Not to be taken for `cut`, which pulls the network cable. Odoo syncs no document that it
        writes: where a customer is at work, the last ones go with the power, whatever Relevo does.
        """
        self._end(synced=False)

    def crash(self) -> None:
        """Stop all at one instant, and lose nothing that was written: the kernel is at fault."""
        self._end(synced=True)

    def _end(self, *, synced: bool) -> None:
        if not self.cgroup.processes():
            return
        disks = (*self._added(), self.disk)
        self.cgroup.freeze()  # nobody hears of anything that was done after this instant
        for disk in disks:
            if synced:
                disk.sync()
            disk.copy()
        self.cgroup.kill()
        self.unmount()
        for disk in disks:
            disk.become_copy()
        self.mount()

    def shutdown(self, timeout_seconds: float = 90) -> None:
        """Press the power button, and wait until the host is off."""
        if (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGRTMIN + 4)
        wait_until(lambda: not self.cgroup.processes(), f"{self.name} is off", timeout_seconds)

    def run(
        self,
        *command: str,
        user: str = "root",
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, not by ssh: it works while the cable is out."""
        done = subprocess.run(
            self.inside(*command, user=user), input=stdin, capture_output=True, text=True,
            errors="replace", check=False, timeout=timeout_seconds,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise LabError(
                f"{' '.join(command)[:200]} on {self.name} ended with {done.returncode}:\n"
                f"{(done.stdout + done.stderr)[-3000:]}"
            )
        return done

    def inside(self, *command: str, user: str = "root") -> list[str]:
        """Wrap a command so that it runs on the host."""
        pid = self.pid()
        if pid is None:
            raise LabError(f"{self.name} is not running", hint=f"boot {self.name}")
        become = ("runuser", "-u", user, "--") if user != "root" else ()
        home = f"HOME={self._home(user)}"
        return ["nsenter", "--target", str(pid), "--all", *become, *ENVIRONMENT, home, *command]

    def _home(self, user: str) -> str:
        lines = (self.root / "etc/passwd").read_text().splitlines()
        homes = {line.split(":")[0]: line.split(":")[5] for line in lines}
        return homes.get(user, "/")

    def offline(self, *command: str, stdin: str = "") -> str:
        """Run a command in the tree of a host that is not booted."""
        return chroot(self.root, *command, stdin=stdin)

    def _either_way(self, *command: str, stdin: str = "") -> str:
        if self.is_running:
            return self.run(*command, stdin=stdin).stdout
        return self.offline(*command, stdin=stdin)

    def read(self, path: str) -> str:
        """Read a file as the host sees it, booted or not."""
        return self._either_way("cat", path)

    def write(self, path: str, text: str, owner: str = "", mode: int | None = None) -> None:
        """Write a file; the owner and mode of one that is there stay unless given."""
        octal = "" if mode is None else f"{mode:o}"
        if mode is None and not self._exists(path):
            octal = "644"
        self._either_way("sh", "-ec", WRITE, "write", path, owner, octal, stdin=text)

    def _exists(self, path: str) -> bool:
        return "yes" in self._either_way("sh", "-c", 'test -e "$1" && echo yes || :', "t", path)

    def psql(self, port: int, sql: str, database: str = "postgres") -> str:
        """Ask PostgreSQL as its superuser."""
        return self.run("sh", "-c", PSQL, "psql", str(port), database, stdin=sql).stdout.strip()

    def wait_until_succeeds(
        self, *command: str, user: str = "root", timeout_seconds: float = 60
    ) -> None:
        """Run a command again and again until the host says yes."""
        wait_until(
            lambda: self.run(*command, user=user, check=False).returncode == 0,
            f"{' '.join(command)[:200]} succeeds on {self.name}",
            timeout_seconds,
        )

    def wait_for_port(self, port: int, timeout_seconds: float = 60) -> None:
        """Wait until something listens on the host."""
        command = ("ss", "-Hltn", f"sport = :{port}")
        wait_until(
            lambda: self.run(*command).stdout, f"{self.name} listens on {port}", timeout_seconds
        )

    def cut(self) -> None:
        """Pull the network cable."""
        self.network.cut(self.name)

    def heal(self) -> None:
        """Plug the network cable in again."""
        self.network.heal(self.name)

    def remove(self) -> None:
        """Kill the host and forget all that it wrote."""
        self.cgroup.kill()
        self.cgroup.remove()
        self.unmount()
        shutil.rmtree(self._shelf, ignore_errors=True)
        shutil.rmtree(self.folder / self.name, ignore_errors=True)
