"""What Prefect is told: once, the same the second time, and no more than the inventory says."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from deployments.wanted import NEVER_SECONDS
from tests.stack import ROOT, Stack


def _apply(stack: Stack, inventory: Path, *options: str) -> list[str]:
    *said, board = stack.run("--inventory", str(inventory), "apply", *options).splitlines()
    assert board == f"the board: {stack.api.removesuffix('/api')}/v2/artifacts/key/board"
    return said


def _without(inventory: Path, name: str) -> Path:
    document = yaml.safe_load(inventory.read_text())
    del document["instances"][name]
    other = inventory.with_name("other.yaml")
    other.write_text(yaml.safe_dump(document))
    return other


def _names(stack: Stack) -> set[str]:
    found = stack.request("POST", "/deployments/filter", {"limit": 200})
    return {deployment["name"] for deployment in found}


def test_applying_the_same_inventory_again_changes_nothing_and_says_so(
    stack: Stack, inventory_path: Path
) -> None:
    assert _apply(stack, inventory_path) == ["nothing to change (2 instances)"]


def test_an_instance_that_left_the_inventory_is_reported_and_removed_only_when_told(
    stack: Stack, inventory_path: Path
) -> None:
    other = _without(inventory_path, "vps_dos")

    said = _apply(stack, other)
    assert "not in the inventory: instance vps-dos" in said
    assert said[-1] == "nothing to change (1 instances)"
    assert "vps_dos" in _names(stack)

    assert "removed instance vps-dos" in _apply(stack, other, "--prune")
    assert "vps_dos" not in _names(stack)

    assert "created instance vps_dos" in _apply(stack, inventory_path)
    assert _apply(stack, inventory_path) == ["nothing to change (2 instances)"]


def _schedule(stack: Stack, deployment: str) -> tuple[str, dict[str, Any]]:
    found = stack.request("GET", f"/deployments/name/{deployment}")
    return found["id"], found["schedules"][0]


def _switch(stack: Stack, deployment: str, **change: object) -> None:
    made, schedule = _schedule(stack, deployment)
    stack.request("PATCH", f"/deployments/{made}/schedules/{schedule['id']}", change)


def test_a_schedule_that_is_paused_stays_paused(stack: Stack, inventory_path: Path) -> None:
    reconcile = "reconcile-filestore/vps_uno"
    _switch(stack, reconcile, active=True)
    document = yaml.safe_load(inventory_path.read_text())
    document["defaults"]["schedules"]["reconcile_seconds"] = 1800
    other = inventory_path.with_name("other.yaml")
    other.write_text(yaml.safe_dump(document))

    assert f"changed deployment {reconcile}" in _apply(stack, other)
    assert _schedule(stack, reconcile)[1]["active"] is True
    _switch(stack, reconcile, active=False)

    _apply(stack, inventory_path)
    assert _schedule(stack, reconcile)[1]["active"] is False


def test_what_an_earlier_release_made_goes_and_what_was_paused_stays_paused(
    stack: Stack, inventory_path: Path
) -> None:
    """It had a run for each instance every five minutes, and one that watched each follower."""
    often = {"interval": 300.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}
    for name, is_on in (("vps_uno", True), ("vps_dos", False)):
        _switch(stack, f"rsync-filestore/{name}", schedule=often, active=is_on)
        made, _ = _schedule(stack, f"rsync-filestore/{name}")
        stack.request("PATCH", f"/deployments/{made}", {"version": "of then"})
    flow = stack.request("POST", "/flows/", {"name": "follow-filestore"})
    then = {
        "flow_id": flow["id"], "entrypoint": "flows/follow_filestore.py:follow_filestore",
        "work_pool_name": "relevo",
    }  # fmt: skip
    for name, tags in (("respaldo-odoo_vps_uno", ["relevo", "instance:vps_uno"]),
                       ("any-instance", ["any-instance"])):  # fmt: skip
        stack.request("POST", "/deployments/", {**then, "name": name, "tags": tags})

    said = _apply(stack, inventory_path)

    assert "removed deployment respaldo-odoo_vps_uno" in said
    assert {"changed deployment rsync-filestore/vps_uno", "removed deployment any-instance"} < {
        *said
    }
    assert "respaldo-odoo_vps_uno" not in _names(stack)
    kept = {name: _schedule(stack, f"rsync-filestore/{name}")[1] for name in ("vps_uno", "vps_dos")}
    assert {name: each["active"] for name, each in kept.items()} == {
        "vps_uno": True, "vps_dos": False,
    }  # fmt: skip
    assert {each["schedule"]["interval"] for each in kept.values()} == {NEVER_SECONDS}
    assert _schedule(stack, "copies/respaldo")[1]["active"] is True
    assert _apply(stack, inventory_path) == ["nothing to change (2 instances)"]
    _switch(stack, "rsync-filestore/vps_uno", active=False)


def test_a_schedule_that_is_asked_for_later_is_on_where_the_copies_are(
    stack: Stack, inventory_path: Path
) -> None:
    def drill() -> list[dict[str, object]]:
        schedules = stack.request("GET", "/deployments/name/drill/vps_uno")["schedules"]
        return list(schedules)

    copy = stack.request("GET", "/deployments/name/rsync-filestore/vps_uno")
    path = f"/deployments/{copy['id']}/schedules/{copy['schedules'][0]['id']}"
    stack.request("PATCH", path, {"active": True})
    assert drill() == []
    document = yaml.safe_load(inventory_path.read_text())
    document["defaults"]["schedules"]["drill_seconds"] = 604800
    other = inventory_path.with_name("other.yaml")
    other.write_text(yaml.safe_dump(document))

    assert "changed deployment drill/vps_uno" in _apply(stack, other)
    assert drill()[0]["active"] is True

    stack.request("PATCH", path, {"active": False})
    _apply(stack, inventory_path)


def test_the_generic_deployments_can_be_deployed(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=stack.env, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = stack.request("POST", "/deployments/filter", {"limit": 200})
    generic = {d["entrypoint"] for d in found if "any-instance" in d["tags"]}
    flows = {f"flows/{p.stem}.py:{p.stem}" for p in (ROOT / "flows").glob("[a-z]*.py")}
    of_all = {"flows/board.py:board", "flows/copies.py:copies"}
    assert generic == flows - of_all, "they are of all instances"
    steps = next(d["pull_steps"] for d in found if "any-instance" in d["tags"])
    assert str(ROOT) in str(steps)
