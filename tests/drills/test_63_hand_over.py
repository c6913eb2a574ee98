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
    uno.origin.machine.boot()
    failback(block)
    assert _serves_at_home(uno)
    assert uno.at_origin("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)
