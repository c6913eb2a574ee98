"""Prefect is dead and broken as well: a shell does the same, and its history is shown later."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.broken import broken
from tests.oracles import Pair, no_strangers
from tests.stack import Stack


def _relevo(stack: Stack, inventory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The relevo command as somebody has it who has no server, and no Prefect that works."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    logs, path = str(stack.folder / "runs"), broken(stack.folder / "broken")
    env = {**kept, "RELEVO_LOG_DIR": logs, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-m", "deployments", "--inventory", str(inventory), *words],
        env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _active(stack: Stack, deployment: str) -> bool:
    found = stack.request("GET", f"/deployments/name/{deployment}")
    return bool(found["schedules"][0]["active"])


def test_with_prefect_dead_a_shell_fails_over_and_prefect_agrees_when_it_is_back(
    uno: Pair, stack: Stack, inventory_path: Path
) -> None:
    stack.kill_worker()
    stack.kill_server()
    uno.origin.machine.crash()

    refused = _relevo(stack, inventory_path, "failover", "vps_uno", "--yes")
    assert refused.returncode == 3, refused.stderr
    assert "may lose: at most the commits of the last" in refused.stderr
    assert _relevo(stack, inventory_path, "failover", "vps_uno").returncode == 3, "nobody to ask"
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "t"

    done = _relevo(
        stack, inventory_path, "failover", "vps_uno", "--yes", "--origin-is-down",
        "--reason", "the drill cut its power", "--approved-by", "Ana",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    assert "promote respaldo" in done.stderr
    assert "temporary server" not in done.stderr, "Prefect started one of its own"
    log = max((stack.folder / "runs").glob("*-failover-vps_uno.log"))
    assert log.name in done.stdout

    stack.start_server()
    stack.start_worker()
    stack.complete("board/all-instances")
    assert "recovery" in stack.artifact("board")
    assert not _active(stack, "rsync-filestore/vps_uno")
    report = stack.artifact("failover-vps-uno")
    assert "the drill cut its power" in report
    assert str(log) in report

    uno.origin.machine.boot()
    stack.complete("failback/vps_uno")
    assert _active(stack, "rsync-filestore/vps_uno")
    lines = _relevo(stack, inventory_path, "status").stdout.splitlines()
    assert ["vps_uno", "primary", "standby", "uno"] in [line.split() for line in lines]
    asked = _relevo(stack, inventory_path, "history", "vps_uno", "--json")
    _history_names_who_did_it(uno, asked, log)
    no_strangers(uno)


def _history_names_who_did_it(
    uno: Pair, asked: "subprocess.CompletedProcess[str]", log: Path
) -> None:
    """Both hosts say who failed over, why and how it ended; so do a journal and a receipt."""
    assert asked.returncode == 0, asked.stderr
    said = json.loads(asked.stdout)
    assert said["asked"] == ["origin", "recovery"]
    moved = next(each for each in said["entries"] if each["run"] == log.name)
    assert (moved["procedure"], moved["person"], moved["outcome"]) == ("failover", "Ana", "done")
    assert moved["reason"] == "the drill cut its power"
    assert said["entries"][-1]["procedure"] == "failback"
    assert said["entries"][-1]["outcome"] == "done"
    recovery, origin = uno.recovery, uno.origin.machine
    journal = recovery.run("journalctl", "-t", "relevo", "--no-pager").stdout
    assert "failover of vps_uno by Ana begins" in journal
    assert '"failback"' in origin.read("/var/lib/relevo/vps_uno/history.jsonl")
    receipts = recovery.run("sh", "-c", "cat /var/lib/relevo/vps_uno/receipts/*.json").stdout
    assert "the drill cut its power (Ana)" in receipts
