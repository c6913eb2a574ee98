"""Whoever signs receipts with a key that the guards do not know, an honest operator among them."""

import secrets as dice
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from tasks.receipts import receipts
from tasks.run import terminal
from tests.lab.trouble import LabError
from tests.oracles import Pair
from tests.stack import Stack

RECEIPTS = "cd /var/lib/relevo/vps_uno && sha256sum receipts/* right.json"


@contextmanager
def signing(path: Path, key: str | None) -> Iterator[Path]:
    """Another signing key in secrets.yaml, or none, as after a restore from an old backup."""
    secrets = path.with_name("secrets.yaml")
    good = secrets.read_text()
    changed = yaml.safe_load(good)
    if key is None:
        del changed["vps_uno"]["signing"]
    else:
        changed["vps_uno"]["signing"] = key
    secrets.write_text(yaml.safe_dump(changed))
    try:
        yield secrets
    finally:
        secrets.write_text(good)


def test_a_run_whose_key_the_guards_do_not_know_touches_nothing(
    uno: Pair, blocks: dict[str, OdooInstance], inventory_path: Path
) -> None:
    """The origin would boot, believe its own receipt, and serve beside the recovery host."""
    before = uno.recovery.run("sh", "-c", RECEIPTS).stdout
    with signing(inventory_path, "a key from an old secrets.yaml"):
        uno.origin.machine.cut()
        try:
            with pytest.raises(Refused):
                failover(blocks["vps_uno"], origin_is_down=True, reason="drill")
        finally:
            uno.origin.machine.heal()
        assert uno.at_recovery("SELECT pg_is_in_recovery()") == "t"
        assert uno.recovery.run("sh", "-c", RECEIPTS).stdout == before
        with pytest.raises(Refused):
            replicate(blocks["vps_uno"])
        assert uno.recovery.run("sh", "-c", RECEIPTS).stdout == before


def test_a_key_that_is_lost_is_not_invented_anew(
    uno: Pair, stack: Stack, inventory_path: Path
) -> None:
    """`relevo apply` says so, and leaves what Prefect and the guards know."""
    apply = ("--inventory", str(inventory_path), "apply")
    try:
        with signing(inventory_path, None) as secrets:
            lost = secrets.read_text()
            with pytest.raises(LabError, match="signing"):
                stack.run(*apply)
            assert secrets.read_text() == lost
    finally:
        stack.run(*apply)
    assert uno.is_home()


def test_a_key_that_was_changed_as_the_manual_says_lets_customers_go_and_come_home(
    uno: Pair, stack: Stack, blocks: dict[str, OdooInstance], inventory_path: Path
) -> None:
    secrets = inventory_path.with_name("secrets.yaml")
    good = secrets.read_text()
    with terminal.without_server():  # an instance that has moved has more receipts than one
        receipts.write(blocks["vps_uno"], kind="first", taker=blocks["vps_uno"].origin)
    _change_key(stack, blocks, inventory_path)
    assert yaml.safe_load(secrets.read_text())["vps_uno"]["signing"] not in good
    with terminal.without_server():
        receipts.require_genuine(blocks["vps_uno"])
    check(blocks["vps_uno"])
    failover(blocks["vps_uno"])
    failback(blocks["vps_uno"])
    assert uno.is_home()


def _change_key(stack: Stack, blocks: dict[str, OdooInstance], inventory: Path) -> None:
    """By the command that is there for it; before there was one, by docs/threat-model.md."""
    said = stack.run("--help")
    if "rotate-key" in said:
        stack.run("--inventory", str(inventory), "rotate-key", "vps_uno")
        return
    secrets = inventory.with_name("secrets.yaml")
    changed = yaml.safe_load(secrets.read_text())
    changed["vps_uno"]["signing"] = dice.token_urlsafe(32)
    secrets.write_text(yaml.safe_dump(changed))
    stack.run("--inventory", str(inventory), "apply")
    replicate(blocks["vps_uno"])
