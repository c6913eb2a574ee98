"""What a run from a shell is given, which no form has checked."""

from typing import Any

import pytest

from blocks.errors import Refused
from deployments.break_glass import checked
from flows.failback import failback
from flows.failover import failover
from flows.pg_rewind import pg_rewind
from flows.promote import promote
from flows.switchover import switchover
from tasks.recovery.procedure import Procedure


@pytest.mark.parametrize(
    "values", [{"to": "recovry"}, {"decide": "maybe"}, {"wait_minutes": "0"}, {"plan_only": "yes"}]
)
def test_a_typing_error_chooses_no_side(values: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        checked(switchover, values)


def test_good_values_get_their_types() -> None:
    given = {"to": "origin", "wait_minutes": "5"}

    assert checked(switchover, given) == {"to": "origin", "wait_minutes": 5}


@pytest.mark.parametrize("flow", [failover, failback, switchover, promote, pg_rewind])
def test_whatever_moves_the_write_right_asks_and_only_a_script_may_ask_nobody(
    flow: Procedure[..., Any],
) -> None:
    offered = flow.parameters.properties["decide"]

    assert (offered["default"], offered["enum"]) == ("ask", ["ask", "plan only"])
    assert checked(flow, {"decide": "unattended"}) == {"decide": "unattended"}
