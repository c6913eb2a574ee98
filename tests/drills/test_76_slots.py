"""A slot that is lost is found, said, and repaired by the one button that makes replicas."""

import re

import pytest

from blocks.errors import Busy, Refused
from blocks.instance import OdooInstance
from flows.basebackup import basebackup
from flows.check import check
from flows.replicate import replicate
from tasks.standby import rejoin
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, ready
from tests.stack import Stack


def test_a_lost_slot_is_found_and_repaired_by_a_clone_beside(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    _lose_slot(uno)
    with pytest.raises(Refused, match=r"does not stream from uno.*slot vps_uno on uno is lost"):
        check(blocks["vps_uno"])

    replicate(blocks["vps_uno"])
    assert uno.is_home()
    no_strangers(uno)
    ready(check(blocks["vps_uno"]))


def test_an_old_standby_can_be_promoted_while_its_new_clone_is_being_made(
    uno: Pair, stack: Stack, blocks: dict[str, OdooInstance]
) -> None:
    uno.at_origin("CREATE TABLE kept AS SELECT 1 AS n", "cliente1")
    there = "SELECT count(*) FROM pg_class WHERE relname = 'kept'"
    wait_until(lambda: uno.at_recovery(there, "cliente1") == "1", "the standby has it")
    _lose_slot(uno)
    run = stack.press("replicate/vps_uno")
    wait_until(lambda: _stalled(uno), "the base backup is under way", 120)
    assert uno.at_recovery("SELECT n FROM kept", "cliente1") == "1"
    with pytest.raises(Busy, match="vps_uno is in the middle of replicate"):
        check(blocks["vps_uno"])

    uno.origin.machine.kill()
    ordered = {"origin_is_down": True, "reason": "it burned down while it was copied"}
    state = stack.wait(stack.press("failover/vps_uno", **ordered))
    assert re.search(
        "vps_uno is locked by a running .*replicate.*HINT: .*cancel", state["message"], re.DOTALL
    )
    stack.cancel(run)
    assert stack.wait(run)["type"] == "CANCELLED"
    stack.complete("failover/vps_uno", **ordered)
    assert uno.at_recovery("SELECT n FROM kept", "cliente1") == "1"

    uno.origin.machine.boot()
    stack.complete("failback/vps_uno")
    uno.at_origin("DROP TABLE kept", "cliente1")
    no_strangers(uno)


def test_a_clone_whose_maker_dies_before_its_first_start_follows_and_never_leads(
    uno: Pair, blocks: dict[str, OdooInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    _clone_and_die(blocks["vps_uno"], monkeypatch)
    uno.recovery.kill()
    uno.recovery.boot()  # and Debian starts what is there
    wait_until(uno.is_home, "what a boot finds follows", 120)

    _clone_and_die(blocks["vps_uno"], monkeypatch)
    kept = _set_aside(uno)
    basebackup(blocks["vps_uno"])
    assert uno.is_home()
    assert _set_aside(uno) == kept, "it was copied once more"
    no_strangers(uno)


def _clone_and_die(instance: OdooInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a clone, swap, and die there."""

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(rejoin, "_follow", die)
        with pytest.raises(RuntimeError, match="killed"):
            basebackup(instance, reclone=True)


def _set_aside(pair: Pair) -> list[str]:
    found = ("find", "/var/lib/postgresql", "-maxdepth", "2", "-name", "*.quarantine-*")
    return sorted(pair.recovery.run(*found).stdout.split())


def _lose_slot(pair: Pair) -> None:
    """Drop the slot, and let the origin throw away what its standby still needs."""
    unit = f"postgresql@{pair.origin.version}-{pair.name}"
    pair.recovery.run("systemctl", "stop", unit)
    sql = "SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots WHERE {}"
    wait_until(
        lambda: pair.at_origin(sql.format("NOT active")) == "1", "the slot is dropped by somebody"
    )
    for _ in range(8):
        pair.at_origin("CREATE TABLE filler (n int); DROP TABLE filler; SELECT pg_switch_wal()")
    pair.at_origin("CHECKPOINT")
    pair.at_origin("CHECKPOINT")
    pair.recovery.run("systemctl", "start", unit)


def _stalled(pair: Pair) -> bool:
    """Let the base backup stand still, once it is under way."""
    return pair.recovery.run("pkill", "-STOP", "-x", "pg_basebackup", check=False).returncode == 0
