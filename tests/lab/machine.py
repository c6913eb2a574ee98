"""One booted host: real systemd, real sshd, real PostgreSQL."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.image import LabError
from tests.lab.network import Network, sh

BOOT_SECONDS = 120
NSPAWN = (
    "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec systemd-nspawn --quiet "
    '--directory="$1" --machine="$2" --boot --register=no --keep-unit '
    '--network-namespace-path="/run/netns/$2"'
)


def wait_until(probe: Callable[[], object], what: str, timeout_seconds: float = 60) -> None:
    """Wait for a condition; fail with its name when the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while not probe():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(0.1)


@dataclass(frozen=True)
class Machine:
    """A host of the lab, which can be cut off, killed and booted again."""

    name: str
    number: int
    network: Network
    folder: Path
    image: Path

    @property
    def address(self) -> str:
        return self.network.address(self.number)

    @property
    def root(self) -> Path:
        return self.folder / self.name / "root"

    @property
    def container(self) -> str:
        return self.network.namespace(self.name)

    def mount(self) -> None:
        """Lay a fresh layer over the image, or the one that is there."""
        layers = [self.folder / self.name / each for each in ("upper", "work", "root")]
        for layer in layers:
            layer.mkdir(parents=True, exist_ok=True)
        upper, work, root = layers
        if not os.path.ismount(root):
            options = f"lowerdir={self.image},upperdir={upper},workdir={work},redirect_dir=on"
            sh("mount", "-t", "overlay", "overlay", "-o", options, str(root))

    def pid(self) -> int | None:
        """The host's own PID 1, seen from outside."""
        pattern = f"systemd-nspawn.*--machine={self.container} "
        for leader in sh("pgrep", "-f", pattern, check=False).split():
            if children := sh("pgrep", "-P", leader, check=False).split():
                return int(children[0])
        return None

    def boot(self) -> None:
        """Start the host and wait until systemd says that it runs."""
        self.mount()
        self.network.plug(self.name, self.number)
        with (self.folder / self.name / "console").open("wb") as console:
            subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "bash", "-c", NSPAWN, "nspawn",
                 str(self.root), self.container],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        wait_until(self._is_up, f"{self.name} has booted", BOOT_SECONDS)

    def _is_up(self) -> bool:
        if self.pid() is None:
            return False
        said = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        if said == "degraded":
            failed = self.run("systemctl", "--failed", "--no-legend", check=False).stdout
            raise LabError(f"{self.name} booted with failed units: {failed}")
        return said == "running"

    def kill(self) -> None:
        """Cut the power."""
        while (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), f"{self.name} is dead")

    def run(
        self, *command: str, user: str = "root", stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, not by ssh: it works while the cable is out."""
        pid = self.pid()
        if pid is None:
            raise LabError(f"{self.name} is not running")
        become = ["runuser", "-u", user, "--"] if user != "root" else []
        done = subprocess.run(
            ["nsenter", "--target", str(pid), "--all", "env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", *become, *command],
            input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise LabError(f"{' '.join(command)[:200]} on {self.name}: {done.stdout}{done.stderr}")
        return done

    def psql(self, port: int, sql: str, database: str = "postgres") -> str:
        """Ask PostgreSQL as its superuser."""
        command = ("psql", "-p", str(port), "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1")
        return self.run(*command, user="postgres", stdin=sql).stdout.strip()

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def write(self, path: str, text: str) -> None:
        (self.root / path.lstrip("/")).write_text(text)

    def cut(self) -> None:
        self.network.cut(self.name)

    def heal(self) -> None:
        self.network.heal(self.name)

    def remove(self) -> None:
        """Kill the host and forget all that it wrote."""
        self.kill()
        if os.path.ismount(self.root):
            sh("umount", "-R", str(self.root))
        shutil.rmtree(self.folder / self.name, ignore_errors=True)
