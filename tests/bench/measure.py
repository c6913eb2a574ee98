"""What something costs: wall, CPU on both sides and in PostgreSQL, bytes on the wire."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """One measurement."""

    wall: float
    client: float
    server: float
    postgres: float
    wire: int


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


class Meter:
    """Measures what runs in this process and in children that are waited for."""

    def __init__(self, *, sshd: int, postmaster: int, halves: int) -> None:
        self.sshd, self.postmaster, self.halves = sshd, postmaster, halves

    def measure(self, work: Callable[[], object], *more: int) -> Cost:
        """Run something once; `more` are other processes of the client's side that live on.

        What looking itself costs stands outside of what is counted.
        """
        family = len(descendants(self.sshd))
        others = sum(map(of_tree, more)), of_tree(self.sshd), of_tree(self.postmaster)
        sent, mine = wire(), _mine()
        begun = time.perf_counter()
        work()
        wall = time.perf_counter() - begun
        mine = _mine() - mine
        self._settle(family)
        sent = wire() - sent
        then = sum(map(of_tree, more)), of_tree(self.sshd), of_tree(self.postmaster)
        children, server, postgres = (b - a for a, b in zip(others, then, strict=True))
        return Cost(wall, mine + children, server, postgres, sent // self.halves)

    def _settle(self, family: int) -> None:
        """Wait for the far end to be waited for, else its CPU would count for who comes next."""
        ends = time.monotonic() + 3
        while len(descendants(self.sshd)) > family and time.monotonic() < ends:
            time.sleep(0.02)


def _mine() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run(command: list[str]) -> None:
    """Run a command that must succeed (24: a file vanished, as rsync says)."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in {0, 24}:
        raise RuntimeError(f"{command}: {done.stderr.decode()[-500:]}")


def medians(costs: list[Cost]) -> Cost:
    def of(field: str) -> float:
        return float(median(getattr(cost, field) for cost in costs))

    return Cost(of("wall"), of("client"), of("server"), of("postgres"), int(of("wire")))
