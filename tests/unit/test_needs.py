"""The one list of what a move needs."""

import pytest

from tasks.readiness import ahead, at_home, failed_over, preflight
from tasks.readiness.probes import EVERY_MOVE, Need


@pytest.mark.parametrize(
    "needs", [(*preflight.NEEDS, *ahead.NEEDS), at_home.NEEDS, failed_over.NEEDS]
)
def test_each_need_says_how_it_is_tried_for_which_move_and_what_mends_it(
    needs: tuple[Need, ...],
) -> None:
    assert len({each.name for each in needs}) == len(needs)
    for each in needs:
        assert each.tried, each.name
        assert each.remedy, each.name
        assert each.moves, each.name
        assert set(each.moves) <= {"replicate", "look", *EVERY_MOVE}, each.name
        assert each.by, each.name
