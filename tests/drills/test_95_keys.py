"""The signing key changes, is lost, is stolen: walked on real hosts, as the page says."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from blocks import signing
from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import rotation
from deployments.inventory import instances
from deployments.inventory_file import read
from deployments.secrets import Secrets
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.switchover import switchover
from tasks.authority import keys
from tasks.receipts import receipt as reading
from tasks.receipts import receipt_files, receipts
from tasks.receipts.receipt import NAMESPACE
from tasks.run import terminal
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, one_writer, ready
from tests.stack import ROOT, Stack

NAME = "vps_uno"
STATE = f"/var/lib/relevo/{NAME}"
Blocks = dict[str, OdooInstance]


def _relevo(stack: Stack, inventory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The relevo command in a shell, with no server named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    env = {**kept, "RELEVO_LOG_DIR": str(stack.folder / "runs"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "deployments", "--inventory", str(inventory), *words],
        env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _kept(pair: Pair) -> list[str]:
    """Every receipt on both hosts, with its sum; what was moved aside would show."""
    command = f"cd {STATE} && sha256sum right.json receipts/*"
    ends = (pair.origin.machine, pair.recovery)
    return [machine.run("sh", "-c", command).stdout for machine in ends]


@pytest.fixture
def secrets_path(inventory_path: Path) -> Path:
    return inventory_path.with_name("secrets.yaml")


@pytest.fixture
def regenerated(uno: Pair, secrets_path: Path) -> Iterator[Pair]:
    """secrets.yaml as it is after somebody has made it anew."""
    before = secrets_path.read_text()
    raw = yaml.safe_load(before)
    raw[NAME]["signing"] = "made anew by somebody who meant well"
    secrets_path.write_text(yaml.safe_dump(raw))
    yield uno
    secrets_path.write_text(before)


def test_a_forced_failover_with_a_regenerated_key_touches_nothing(
    regenerated: Pair, blocks: Blocks, stack: Stack, inventory_path: Path
) -> None:
    """It once moved the genuine receipts aside as false, and the origin served beside it."""
    before, machine = _kept(regenerated), regenerated.origin.machine
    said = "the signing key in secrets.yaml is not the one that the guard of uno"
    plan = _relevo(stack, inventory_path, "plan", "failover", NAME)
    assert plan.returncode == 3
    assert said in plan.stdout
    seen = _relevo(stack, inventory_path, "check", NAME)
    assert (seen.returncode, said in seen.stdout) == (2, True), seen.stdout
    applied = _relevo(stack, inventory_path, "apply")
    assert "has another signing key than before of vps_uno" in applied.stderr
    with pytest.raises(Refused, match=said):
        stack_free_replicate(blocks)

    machine.kill()
    with pytest.raises(Refused, match=said) as refused:
        failover(blocks[NAME], origin_is_down=True, reason="drill")
    assert f"relevo rotate-key {NAME}" in refused.value.hint
    assert regenerated.at_recovery("SELECT pg_is_in_recovery()") == "t"
    machine.boot()
    wait_until(regenerated.is_home, "the recovery host follows as before", 60)
    assert _kept(regenerated) == before


def stack_free_replicate(blocks: Blocks) -> None:
    from flows.replicate import replicate  # noqa: PLC0415  # a flow as the shell runs it

    with terminal.without_server():
        replicate.fn(blocks[NAME])


class Killed(BaseException):
    """The runner's process ended here."""


def test_a_rotation_that_is_killed_is_run_again_and_every_move_works_after_it(
    uno: Pair, blocks: Blocks, stack: Stack, inventory_path: Path, secrets_path: Path
) -> None:
    old, before = blocks[NAME], receipt_files.history(blocks[NAME], blocks[NAME].recovery)
    for name in ("introduce", "renew", "require_heard", "retire"):
        with pytest.MonkeyPatch.context() as killing:
            killing.setattr(keys, name, _killed)
            with pytest.raises(Killed), terminal.without_server():
                _rotate(inventory_path, secrets_path)
        assert keys.objections(blocks[NAME], origin_answers=True) == [], name

    print(stack.run("--inventory", str(inventory_path), "rotate-key", NAME))
    now = blocks[NAME]
    assert now.signing_key != old.signing_key
    assert now.next_signing_key is None
    assert [*now.retired_keys] == [signing.public_key(old.signing_key)]
    for place in (now.origin, now.recovery):
        kept = receipt_files.history(now, place)
        assert kept[: len(before)] == before, "what the old key signed is history"
    ready(check(now))

    _require_the_old_key_signs_nothing(uno, old, blocks)
    machine = uno.origin.machine
    machine.kill()
    with one_writer(uno):
        failover(blocks[NAME], origin_is_down=True, reason="drill")
        machine.boot()
        wait_until(lambda: _guard_knows(uno)["taker"] == "recovery", "the guard is told", 30)
        failback(blocks[NAME])
    ready(check(blocks[NAME]))
    switchover(blocks[NAME], reason="drill", approved_by="drill")
    switchover(blocks[NAME], to="origin", reason="drill", approved_by="drill")
    ready(check(blocks[NAME]))
    no_strangers(uno)
    with pytest.raises(Refused, match="was retired"):
        failover(old, origin_is_down=True, reason="by a Prefect that was not told")
    stack.complete(f"check/{NAME}")


def _killed(*_: object, **__: object) -> None:
    raise Killed


def _rotate(inventory: Path, secrets_path: Path) -> None:
    secrets = Secrets(secrets_path)

    def mine() -> OdooInstance:
        return next(each for each in instances(read(inventory), secrets) if each.name == NAME)

    rotation.rotate(mine, secrets)


def _guard_knows(pair: Pair) -> dict[str, object]:
    config = f"/etc/relevo/guard/{NAME}/config.json"
    said = pair.origin.machine.run("/usr/local/lib/relevo/guard", config, "ask").stdout
    known: dict[str, object] = json.loads(said)["known"]
    return known


def _require_the_old_key_signs_nothing(uno: Pair, old: OdooInstance, blocks: Blocks) -> None:
    """A copy of the old key that was stolen says that the recovery host has the write right."""
    right, newest = uno.recovery.read(f"{STATE}/right.json"), receipts.newest(blocks[NAME])
    assert newest is not None
    known = _guard_knows(uno)
    for epoch in (newest.epoch + 1, newest.epoch + 1000):
        forged = json.loads(newest.text()) | {"epoch": epoch, "taker": "recovery", "kind": "forced"}
        text = reading.Receipt(**forged).text()
        line = reading.sealed(text, signing.sign(text, old.signing_key, namespace=NAMESPACE))
        uno.recovery.write(f"{STATE}/right.json", line)
        time.sleep(5)  # two beats of the watcher and one to act
        assert _guard_knows(uno) == known
        assert uno.at_origin("SELECT pg_is_in_recovery()") == "f"
        assert receipts.newest(blocks[NAME]) == newest, "nor does the runner believe it"
    uno.recovery.write(f"{STATE}/right.json", right)


def test_lost_secrets_are_not_invented_and_a_rotation_goes_on_without_them(
    uno: Pair, blocks: Blocks, stack: Stack, inventory_path: Path, secrets_path: Path
) -> None:
    text = ("--inventory", str(inventory_path))
    remembered = secrets_path.with_name("signers.yaml")
    before, kept = yaml.safe_load(secrets_path.read_text()), _kept(uno)
    secrets_path.unlink()
    for why in ("signers.yaml names it", "Prefect has its block", "keeps its receipts"):
        env = stack.env if why.startswith("Prefect") else {}
        refused = _apply(stack, inventory_path, env)
        assert refused.returncode == 3, refused.stdout
        assert why in refused.stderr
        assert f"restore secrets.yaml from its backup, or run `relevo rotate-key {NAME}`" in (
            refused.stderr
        )
        assert not secrets_path.exists()
        remembered.unlink(missing_ok=True)
    assert _relevo(stack, inventory_path, "failover", NAME, "--yes").returncode == 3
    assert _kept(uno) == kept

    for name in (NAME, "vps_dos"):
        done = _relevo(stack, inventory_path, "rotate-key", name)
        assert done.returncode == 0, done.stderr
    raw = yaml.safe_load(secrets_path.read_text())
    raw[NAME]["dns"] = before[NAME]["dns"]  # the provider's own
    secrets_path.write_text(yaml.safe_dump(raw))
    assert SecretStr(raw[NAME]["signing"]) != SecretStr(before[NAME]["signing"])
    stack.run(*text, "apply")
    stack.complete(f"replicate/{NAME}")
    ready(check(blocks[NAME]))
    no_strangers(uno)


def _apply(
    stack: Stack, inventory: Path, env: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    if not env:
        return _relevo(stack, inventory, "apply")
    return subprocess.run(
        [sys.executable, "-m", "deployments", "--inventory", str(inventory), "apply"],
        env=env, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
