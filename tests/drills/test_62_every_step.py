"""A procedure is killed before each of its steps, one after the other, and ends well."""

import os
from pathlib import Path

from blocks.instance import OdooInstance
from flows.failback import failback
from flows.failover import failover
from tests.killing import DONE, KILLED, killed_at
from tests.oracles import Pair, no_strangers, one_writer

# In CI every eighth; `RELEVO_STRIDE=1` is each.
STRIDE = int(os.environ.get("RELEVO_STRIDE", "8"))


def _through(pair: Pair, inventory: Path, procedure: str, said: Path) -> int:
    """Kill a procedure at one step after the other until it has come through; count the kills.

    A failback that dies after it has closed its records has nothing left to do, and says so.
    """
    kills, step = 0, 1
    while (end := killed_at(inventory, pair.name, procedure, step, said)) == KILLED:
        kills, step = kills + 1, step + STRIDE
    text = said.read_text()
    assert end == DONE or "is not served from the recovery host" in text, text[-3000:]
    assert pair.at_recovery("SELECT pg_is_in_recovery()") == (
        "t" if procedure == "failback" else "f"
    )
    return kills


def test_a_failover_that_is_killed_before_each_step_ends_well(
    uno: Pair, blocks: dict[str, OdooInstance], inventory_path: Path, tmp_path: Path
) -> None:
    uno.at_origin("CREATE TABLE before AS SELECT generate_series(1, 10) AS n", "cliente1")
    with one_writer(uno):
        kills = _through(uno, inventory_path, "failover", tmp_path / "said")
    print(f"killed {kills} times")
    assert kills >= 20 // STRIDE
    assert uno.at_recovery("SELECT count(*) FROM before", "cliente1") == "10"
    failback(blocks[uno.name])
    uno.at_origin("DROP TABLE before", "cliente1")
    no_strangers(uno)


def test_a_failback_with_a_rewind_that_is_killed_before_each_step_ends_well(
    uno: Pair, blocks: dict[str, OdooInstance], inventory_path: Path, tmp_path: Path
) -> None:
    uno.origin.machine.cut()
    failover(blocks[uno.name], origin_is_down=True, reason="drill")
    uno.at_origin("CREATE TABLE only_here AS SELECT generate_series(1, 10) AS n", "cliente1")
    uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 10) AS n", "cliente1")
    uno.origin.machine.heal()
    kills = _through(uno, inventory_path, "failback", tmp_path / "said")
    print(f"killed {kills} times")
    assert kills >= 20 // STRIDE
    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
    assert uno.at_origin("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)
