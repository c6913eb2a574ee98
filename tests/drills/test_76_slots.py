"""A slot that is lost is found, said, and repaired by the one button that makes replicas."""

import re

import pytest

from blocks.errors import Busy, Refused
from blocks.instance import OdooInstance
from flows.check import check
from flows.replicate import replicate
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers
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
    assert re.match(r"vps_uno: green", check(blocks["vps_uno"]).title)


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
    assert re.search("vps_uno is busy on .*replicate.*HINT: .*cancel", state["message"], re.DOTALL)
    stack.cancel(run)
    assert stack.wait(run)["type"] == "CANCELLED"
    stack.complete("failover/vps_uno", **ordered)
    assert uno.at_recovery("SELECT n FROM kept", "cliente1") == "1"

    uno.origin.machine.boot()
    stack.complete("failback/vps_uno")
    uno.at_origin("DROP TABLE kept", "cliente1")
    no_strangers(uno)


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
