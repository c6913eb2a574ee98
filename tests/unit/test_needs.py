"""The one list of what a move needs."""

import pytest

from tasks.readiness import at_home, failed_over
from tasks.readiness.probes import EVERY_MOVE, Need


@pytest.mark.parametrize("needs", [at_home.NEEDS, failed_over.NEEDS])
def test_each_need_says_how_it_is_tried_for_which_move_and_what_mends_it(
    needs: tuple[Need, ...],
) -> None:
    assert len({each.name for each in needs}) == len(needs)
    for each in needs:
        assert each.tried, each.name
        assert each.remedy, each.name
        assert each.moves, each.name
        assert set(each.moves) <= set(EVERY_MOVE), each.name
        assert each.by, each.name
