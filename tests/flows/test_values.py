"""What a run from a shell is given, which no form has checked."""

from typing import Any

import pytest

from blocks.errors import Refused
from deployments.break_glass import checked
from flows.switchover import switchover


@pytest.mark.parametrize(
    "values", [{"to": "recovry"}, {"decide": "maybe"}, {"wait_minutes": "0"}, {"plan_only": "yes"}]
)
def test_a_typing_error_chooses_no_side(values: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        checked(switchover, values)


def test_good_values_get_their_types() -> None:
    given = {"to": "origin", "wait_minutes": "5"}

    assert checked(switchover, given) == {"to": "origin", "wait_minutes": 5}
