"""The worker is killed in the middle, and the run is started again."""

import pytest

from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers
from tests.stack import Stack

FAILOVER = ("promote respaldo", "start Odoo on respaldo")
FAILBACK = ("demote respaldo, in favour of uno", "make respaldo the standby of uno")


def _kill_at(stack: Stack, run: str, step: str) -> None:
    """Kill the worker and the run as soon as a step has begun."""
    wait_until(
        lambda: any(name == step for name, _ in stack.tasks(run)) or _ended(stack, run),
        f"the step {step!r} begins",
        300,
    )
    stack.kill_worker()
    stack.start_worker()


def _ended(stack: Stack, run: str) -> bool:
    return stack.state(run)["type"] in {"COMPLETED", "FAILED", "CRASHED"}


@pytest.mark.parametrize("there", FAILOVER)
def test_a_failover_and_a_failback_killed_in_the_middle_end_well_when_started_again(
    uno: Pair, stack: Stack, there: str
) -> None:
    back = FAILBACK[FAILOVER.index(there)]
    run = stack.press("failover/vps_uno")
    _kill_at(stack, run, there)
    run = _again(stack, "failover/vps_uno")
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 10) AS n", "cliente1")

    run = stack.press("failback/vps_uno")
    _kill_at(stack, run, back)
    _again(stack, "failback/vps_uno")
    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
    uno.at_origin("DROP TABLE outage", "cliente1")
    assert uno.is_home()
    no_strangers(uno)


def _again(stack: Stack, deployment: str) -> str:
    """Press the button again; a lock that the dead worker held is free after its lease."""
    for _ in range(4):
        run = stack.press(deployment)
        state = stack.wait(run)
        if state["type"] == "COMPLETED" or "is busy on" not in state["message"]:
            break
    assert state["type"] == "COMPLETED" or "already" in state["message"], (
        f"{state['message']}\n{stack.said(run)}"
    )
    return run
