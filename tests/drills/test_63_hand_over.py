"""A server that dies in the middle of a failback's hand-over: nobody serves, and then one does."""

from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from tests.killing import KILLED, killed_at
from tests.oracles import Pair, no_strangers

Blocks = dict[str, OdooInstance]


def _serves_at_home(pair: Pair) -> bool:
    odoo = pair.origin.machine.run("systemctl", "is-active", pair.origin.unit, check=False)
    return odoo.stdout == "active\n" and pair.at_origin("SELECT pg_is_in_recovery()") == "f"


@pytest.mark.parametrize("step", ["require the receipt by which", "start Odoo on uno"])
def test_an_origin_that_loses_power_in_the_middle_of_the_hand_over_is_started_and_goes_on(
    uno: Pair, blocks: Blocks, inventory_path: Path, tmp_path: Path, step: str
) -> None:
    """The recovery host is demoted, the origin has the receipt: nobody else may start."""
    block, said = blocks[uno.name], tmp_path / "said"
    failover(block)
    uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 1000) AS n", "cliente1")
    assert killed_at(inventory_path, uno.name, "failback", step, said) == KILLED
    uno.origin.machine.kill()
    uno.origin.machine.boot()
    with pytest.raises(Refused, match=r"was never finished|run failback"):
        check(block)
    with pytest.raises(Refused, match="was never finished") as refused:
        replicate(block)
    assert refused.value.hint == "run failback, which goes on from there"

    failback(block)

    assert _serves_at_home(uno)
    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "1000"
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)


def test_an_origin_that_dies_for_good_once_it_has_the_write_right_is_failed_over_again(
    uno: Pair, blocks: Blocks, inventory_path: Path, tmp_path: Path
) -> None:
    """It may have served, for all that anybody knows: what it wrote since is named as lost."""
    block, said = blocks[uno.name], tmp_path / "said"
    failover(block)
    uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 1000) AS n", "cliente1")
    assert killed_at(inventory_path, uno.name, "failback", "start Odoo on uno", said) == KILLED
    uno.at_origin("CREATE TABLE only_here AS SELECT 1 AS n", "cliente1")
    uno.origin.machine.kill()
    with pytest.raises(Refused, match=r"(confirm from another source|origin_is_down)"):
        failover(block)

    report = failover(block, origin_is_down=True, reason="it burnt")

    assert "how much is not known" in report.facts["may be lost"]
    assert uno.at_recovery("SELECT count(*) FROM outage", "cliente1") == "1000"
    assert uno.at_recovery("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    uno.origin.machine.boot()
    with pytest.raises(Refused, match="failback with reclone"):
        failback(block)
    failback(block, reclone=True)
    assert _serves_at_home(uno)
    assert uno.at_origin("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)


def test_an_origin_that_comes_back_beside_a_forced_failover_that_died_is_led_home(
    uno: Pair, blocks: Blocks, inventory_path: Path, tmp_path: Path
) -> None:
    """Both are standbys then, and the receipt gives the write right to the origin."""
    block, said = blocks[uno.name], tmp_path / "said"
    failover(block)
    uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 1000) AS n", "cliente1")
    receipt = "require the receipt by which"
    assert killed_at(inventory_path, uno.name, "failback", receipt, said) == KILLED
    uno.origin.machine.kill()
    ready = f"require that {uno.recovery.name} can take over"
    assert killed_at(inventory_path, uno.name, "forced failover", ready, said) == KILLED
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "t"
    uno.origin.machine.boot()

    failback(block)

    assert _serves_at_home(uno)
    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "1000"
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)


def test_a_recovery_host_that_was_started_by_hand_overrules_no_origin_that_serves(
    uno: Pair, blocks: Blocks, inventory_path: Path, tmp_path: Path
) -> None:
    """The origin has the write right and used it: neither button fences it."""
    block, said = blocks[uno.name], tmp_path / "said"
    failover(block)
    assert killed_at(inventory_path, uno.name, "failback", "start Odoo on uno", said) == KILLED
    uno.at_origin("CREATE TABLE only_here AS SELECT 1 AS n", "cliente1")
    uno.recovery.run("systemctl", "start", _standby(uno))
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    for move in (failover, failback):
        with pytest.raises(Refused, match="was started by hand since"):
            move(block)
    assert uno.at_origin("SELECT n FROM only_here", "cliente1") == "1"
    uno.recovery.run("systemctl", "stop", _standby(uno))

    failback(block)

    assert _serves_at_home(uno)
    assert uno.at_origin("SELECT n FROM only_here", "cliente1") == "1"
    uno.at_origin("DROP TABLE only_here", "cliente1")
    no_strangers(uno)


CRASH = """
set -e
sed -i s/auto/manual/ "$1/start.conf"
systemctl kill --signal=KILL "$2"
"""


def test_an_origin_that_crashed_while_it_was_demoted_is_started_and_hands_over_all_it_has(
    uno: Pair, blocks: Blocks, inventory_path: Path, tmp_path: Path
) -> None:
    """Its Odoo is off and its PostgreSQL stays down: nobody serves, and nothing need be lost."""
    block, said, machine = blocks[uno.name], tmp_path / "said", uno.origin.machine
    assert killed_at(inventory_path, uno.name, "failover", "demote uno", said) == KILLED
    uno.recovery.run("systemctl", "stop", _standby(uno))
    uno.at_origin("CREATE TABLE outage AS SELECT generate_series(1, 1000) AS n", "cliente1")
    folder = f"/etc/postgresql/{uno.origin.version}/{uno.origin.cluster}"
    unit = f"postgresql@{uno.origin.version}-{uno.origin.cluster}"
    machine.run("sh", "-c", CRASH, "crash", folder, unit)
    uno.recovery.run("systemctl", "start", _standby(uno))

    report = failover(block)

    assert report.facts["may be lost"] == "nothing"
    assert uno.at_recovery("SELECT count(*) FROM outage", "cliente1") == "1000"
    failback(block)
    assert _serves_at_home(uno)
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)


def _standby(pair: Pair) -> str:
    return f"postgresql@{pair.lab.generation.postgres}-{pair.name}"
