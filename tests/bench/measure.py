"""What something costs: wall, CPU on both sides and in PostgreSQL, bytes on the wire."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.lab import cgroup

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """One measurement."""

    wall: float
    client: float
    server: float
    postgres: float
    wire: int

    def shared(self, times: int) -> "Cost":
        """One of several, all alike."""
        each = 1 / times
        return Cost(
            self.wall * each, self.client * each, self.server * each, self.postgres * each,
            self.wire // times,
        )  # fmt: skip


def descendants(root: int) -> list[int]:
    """A process and its living descendants."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            threads = list(Path(f"/proc/{pid}/task").iterdir())
            waiting += [int(n) for t in threads for n in (t / "children").read_text().split()]
        except OSError:
            continue
    return found


def of_tree(root: int) -> float:
    """CPU seconds of a process, its living descendants, and the dead that were waited for."""
    total = 0.0
    for pid in descendants(root):
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, words[11:15])) / TICK
    return total


def wire() -> int:
    """Bytes that went over this network's only interface."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[0])
    raise LookupError("there is no lo")


class Group:
    """A cgroup, for the CPU that its processes use, also those that have ended."""

    def __init__(self, name: str) -> None:
        self.path = cgroup.hierarchy() / f"relevo-bench-{os.getpid()}-{name}"
        self.path.mkdir(exist_ok=True)

    def take(self, root: int) -> None:
        """Move a process and its descendants in; their children will be born here."""
        for pid in descendants(root):
            (self.path / "cgroup.procs").write_text(str(pid))

    def used(self) -> float:
        return int((self.path / "cpu.stat").read_text().split()[1]) / 1e6

    def within(self, command: list[str]) -> list[str]:
        """Have a command run in here from its first moment."""
        join = 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"'
        return ["sh", "-c", join, "join", str(self.path), *command]


class Meter:
    """Measures this process with its children, the far end, and PostgreSQL."""

    def __init__(self, *, server: Group, postgres: Group, client: Group, halves: int) -> None:
        self.groups, self.halves = (client, server, postgres), halves

    def measure(self, work: Callable[[], object]) -> Cost:
        """Run something once, on a disk that owes nothing to the one before."""
        os.sync()
        sent, before = wire(), [group.used() for group in self.groups]
        begun = time.perf_counter()
        work()
        wall = time.perf_counter() - begun
        client = self.groups[0].used()
        time.sleep(0.1)  # for the far end to close its books; we do nothing meanwhile
        used = [client, *(group.used() for group in self.groups[1:])]
        spent = [b - a for a, b in zip(before, used, strict=True)]
        return Cost(wall, spent[0], spent[1], spent[2], (wire() - sent) // self.halves)


def run(command: list[str]) -> None:
    """Run a command that must succeed (24: a file vanished, as rsync says)."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in {0, 24}:
        raise RuntimeError(f"{command}: {done.stderr.decode()[-500:]}")


def medians(costs: list[Cost]) -> Cost:
    def of(field: str) -> float:
        return float(median(getattr(cost, field) for cost in costs))

    return Cost(of("wall"), of("client"), of("server"), of("postgres"), int(of("wire")))
