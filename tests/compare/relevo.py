"""Relevo's own flows, started from the shell as `relevo` on a third machine."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.compare import contender
from tests.lab import inventory
from tests.oracles import Pair
from tests.stack import ROOT

BUSY = 4
REASON = "compared with others"


class Relevo:
    """Nobody helps but by what a HINT says."""

    name = "Relevo"
    plays: tuple[str, ...] = ()

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.pair, self.folder = pair, folder
        self.said: list[str] = []

    def install(self) -> None:
        path = inventory.write(self.pair.lab, self.folder)
        document = yaml.safe_load(path.read_text())
        document["instances"] = {self.pair.name: document["instances"][self.pair.name]}
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        self._relevo("apply")  # makes the passwords, and says that no server is named
        self.said.clear()
        self._run("replicate")

    def ready(self) -> None:
        """Run what the schedules run: the copy of files, and the process that follows them."""
        self._run("rsync_filestore")

    def failover(self) -> None:
        words = ("failover", self.pair.name, "--yes", "--origin-is-down", "--reason", REASON)
        if not self._relevo(*words):
            return
        if "replay is paused" in self.said[-1]:
            self.pair.at_recovery("SELECT pg_wal_replay_resume()")
            self._relevo(*words)
        elif f"systemctl start {(unit := self._unit())}" in self.said[-1]:
            self.pair.recovery.run("systemctl", "start", unit, check=False)
            self._relevo(*words)
        elif "start PostgreSQL on uno again" in self.said[-1]:
            units = (f"postgresql@{self.pair.origin.version}-{self.pair.origin.cluster}", "odoo")
            self.pair.origin.machine.run("systemctl", "start", *units, check=False)

    def _unit(self) -> str:
        return f"postgresql@{self.pair.origin.version}-{self.pair.name}.service"

    def move(self) -> None:
        self._run("switchover")

    def home(self) -> None:
        if contender.recovery_role(self.pair) == "f" or contender.origin_role(self.pair) != "f":
            self._relevo("failback", self.pair.name, "--yes", "--reason", REASON)
        elif not contender.follows(self.pair.recovery, self.pair.port):
            self._run("replicate")

    def notices(self) -> bool:
        return self._relevo("check", self.pair.name) != 0

    def repair(self) -> None:
        self._run("replicate")

    def _run(self, flow: str, *more: str) -> int:
        return self._relevo("run", flow, self.pair.name, *more)

    def _relevo(self, *words: str) -> int:
        """Run the command, and note what it says when it does not end well."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        env = {**kept, "RELEVO_LOG_DIR": str(self.folder / "runs"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "deployments", "--inventory",
             str(self.folder / "inventory.yaml"), *words],
            env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            cwd=ROOT, timeout=400,
        )  # fmt: skip
        if done.returncode:
            last = [line for line in done.stderr.splitlines() if line.strip()][-2:]
            self.said.append(f"relevo {' '.join(words[:2])} ended with {done.returncode}: {last}")
        return done.returncode
