"""What is not PostgreSQL's or ssh's usual way, at the origin or here."""

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, no_strangers, ready

Blocks = dict[str, OdooInstance]
# The one limit that costs nothing, and one that is an older name in pg_control.
RAISED = {"max_connections": (100, 150), "max_locks_per_transaction": (64, 80)}


def _restart(machine: Machine, version: int, cluster: str) -> None:
    machine.run("systemctl", "restart", f"postgresql@{version}-{cluster}")


def _raise(pair: Pair, **limits: int) -> None:
    """Raise limits at the origin, as its owner would."""
    for name, value in limits.items():
        pair.at_origin(f"ALTER SYSTEM SET {name} = {value}")
    _restart(pair.origin.machine, pair.origin.version, pair.origin.cluster)


def _held_up(block: OdooInstance, said: str) -> None:
    def told() -> bool:
        with pytest.raises(Refused) as refused:
            check(block)
        return said in refused.value.message

    wait_until(told, f"check says: {said}", 60)


def test_limits_raised_at_the_origin_are_named_and_a_forced_failover_goes_on_with_them(
    uno: Pair, blocks: Blocks
) -> None:
    block, machine = blocks[uno.name], uno.origin.machine
    _raise(uno, **{name: value for name, (_, value) in RAISED.items()})
    for name, (former, value) in RAISED.items():
        _held_up(block, f"{name} is {former} there and must be {value}")
    with pytest.raises(Refused, match="run replicate"):
        failover(block)

    replicate(block)
    assert uno.at_recovery("SHOW max_connections") == "150"
    ready(check(block))

    _raise(uno, max_connections=160)
    _held_up(block, "max_connections is 150 there and must be 160")
    machine.kill()
    failover(block, origin_is_down=True, reason="drill")
    assert uno.at_recovery("SHOW max_connections") == "160"

    # The other way round: who serves has raised one, and the origin has to follow.
    uno.at_recovery("ALTER SYSTEM SET max_connections = 170")
    _restart(uno.recovery, uno.origin.version, uno.name)
    machine.boot()
    failback(block)
    assert uno.at_origin("SHOW max_connections") == "170"
    replicate(block)
    ready(check(block))
    no_strangers(uno)
