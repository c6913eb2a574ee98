"""Peers that answer without end, and how much of it anybody keeps."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import Machine
from tests.lab.trouble import LabError
from tests.stack import ROOT

MB = 1 << 20
# A gate that talks: a list that unpacks to a gigabyte, contents without end, refusals of three
# gigabytes. It ends by itself after half a minute, whoever listens.
GATE = r"""#!/usr/bin/python3
import os, struct, sys, time, zlib
end = time.time() + 30
def say(kind, size, part):
    os.write(1, struct.pack(">cQ", kind, size))
    while time.time() < end:
        os.write(1, part)
if "relevo files" not in " ".join(sys.argv[1:]):
    while time.time() < end:
        os.write(2, b"relevo: refused: " + b"x" * 65536)
pack = zlib.compressobj(9)
bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(1024)) + pack.flush()
for line in sys.stdin:
    if line.startswith("list"):
        os.write(1, struct.pack(">cQ", b"+", len(bomb)) + bomb)
    elif line.startswith("get"):
        say(b"+", 1 << 40, bytes(65536))
    else:
        say(b"!", 3 << 30, b"x" * 65536)
"""
ENGINES = """
for path in /proc/[0-9]*; do
    if tr '\\0' ' ' <$path/cmdline | grep -q 'filestore.pyz'; then
        awk '/^VmRSS/ {print $2}' $path/status
    fi
done 2>/dev/null | sort -n | tail -n 1
"""


@dataclass
class Peak:
    """The most that was seen."""

    memory: int = 0
    disk: int = 0

    def says(self) -> str:
        return f"{self.memory // MB} MB of memory, {self.disk // MB} MB on the disk"


@contextmanager
def replaced(machine: Machine, path: str, text: str) -> Iterator[None]:
    """Put another file in the place of one, for a while; its owner and mode stay."""
    machine.run("cp", "-a", path, f"{path}.good")
    try:
        machine.write(path, text)
        yield
    finally:
        machine.run("mv", "-fT", f"{path}.good", path)


@contextmanager
def watched(machine: Machine, enough: Peak, *folders: str) -> Iterator[Peak]:
    """Measure the engines' memory, and what some folders hold, until it is enough."""
    seen, ended, first = Peak(), threading.Event(), _used(machine, *folders)

    def watch() -> None:
        while not ended.wait(0.2):
            with suppress(LabError, ValueError):
                said = machine.run("sh", "-c", ENGINES).stdout
                seen.memory = max(seen.memory, int(said or 0) << 10)
                seen.disk = max(seen.disk, _used(machine, *folders) - first)
            if seen.memory > enough.memory or seen.disk > enough.disk:
                ended.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(timeout=30)


def _used(machine: Machine, *folders: str) -> int:
    said = machine.run("du", "-scB1", *folders, check=False).stdout
    return int(said.splitlines()[-1].split()[0])


@dataclass(frozen=True)
class Run:
    """How a run of Relevo's in a process of its own ended, and the most memory that it took."""

    status: int | None
    memory: int
    said: str
    seconds: float


def relevo(inventory: Path, *words: str, most: int, seconds: float = 120) -> Run:
    """Run the command in a process of its own, ended when it takes more than it may."""
    log = inventory.with_name("endless.log")
    logs = str(inventory.with_name("runs"))
    env = {**os.environ, "RELEVO_LOG_DIR": logs, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "deployments", "--inventory", str(inventory), *words]
    begun, peak = time.monotonic(), 0
    with (
        log.open("w") as out,
        subprocess.Popen(
            argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        ) as process,
    ):
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            if peak > most or time.monotonic() - begun > seconds:
                process.kill()
            time.sleep(0.1)
    return Run(process.returncode, peak, log.read_text(), time.monotonic() - begun)


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) << 10
    return 0
