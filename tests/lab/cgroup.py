"""A cgroup for each host: in a shared one, the systemds of all hosts fight over one tree."""

import contextlib
import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.network import sh

# The process that runs this joins the cgroup, and so does all that it starts.
JOIN = 'echo 0 >"$1/cgroup.procs"; shift; exec setsid --fork "$@"'


@dataclass(frozen=True)
class Cgroup:
    """A subtree of the unified hierarchy; killed at once, or not at all."""

    path: Path

    @classmethod
    def of(cls, lab: str, host: str = "") -> "Cgroup":
        """Name the group of a host, or of a whole lab."""
        return cls(hierarchy() / f"relevo-lab-{lab}" / host)

    def start(self, *command: str, log: Path) -> None:
        """Start a command inside, detached from whoever runs the lab."""
        self.path.mkdir(parents=True, exist_ok=True)
        sh("bash", "-ec", JOIN, "join", str(self.path), *command, output=log)

    def processes(self) -> list[int]:
        """Every living process, seen from outside."""
        found: list[int] = []
        for folder, _, _ in os.walk(self.path):  # which passes over groups that end meanwhile
            with contextlib.suppress(OSError):
                found += [int(line) for line in Path(folder, "cgroup.procs").read_text().split()]
        return found

    def init(self) -> int | None:
        """The process that is number 1 inside."""
        return next((each for each in self.processes() if _inner_number(each) == "1"), None)

    def freeze(self, timeout_seconds: float = 20) -> None:
        """Stop everything at the same instant, for good: what is frozen is then killed."""
        deadline = time.monotonic() + timeout_seconds
        (self.path / "cgroup.freeze").write_text("1")
        while "frozen 1" not in (self.path / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.path} does not freeze")
            time.sleep(0.001)

    def kill(self, timeout_seconds: float = 20) -> None:
        """SIGKILL everything at the same instant, and wait until it is gone."""
        deadline = time.monotonic() + timeout_seconds
        if self.path.exists():
            (self.path / "cgroup.kill").write_text("1")
        while self.processes():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.path} still holds {self.processes()}")
            time.sleep(0.02)

    def remove(self, timeout_seconds: float = 20) -> None:
        """Forget the group, once nothing lives in it; of the last to die the kernel says busy."""
        deadline = time.monotonic() + timeout_seconds
        while self.path.exists():
            inner = [each for each in self.path.rglob("*") if each.is_dir()]
            try:
                for each in [*sorted(inner, reverse=True), self.path]:
                    with contextlib.suppress(FileNotFoundError):
                        each.rmdir()
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _inner_number(process: int) -> str:
    """Give the number of a process in the namespace just below ours, or nothing."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("NSpid:") and len(numbers := line.split()[1:]) > 1:
                return numbers[1] if len(numbers) == 2 else ""
    return ""


def hierarchy() -> Path:
    """Find the unified hierarchy, wherever this machine has mounted it."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    where = "/run/relevo-lab-cgroup"
    Path(where).mkdir(exist_ok=True)
    sh("mount", "-t", "cgroup2", "cgroup2", where)
    return Path(where)
