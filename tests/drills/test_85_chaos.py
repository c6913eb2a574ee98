"""One story of the chaos rig among the drills; `make chaos` plays as many as there is time for."""

from pathlib import Path

from tests.chaos.rig import Rig
from tests.chaos.story import tell
from tests.oracles import Pair
from tests.stack import Stack

SEED = 165  # a failover, and another pressed while it runs


def test_a_story_with_an_accident_ends_at_home_with_nothing_lost_in_silence(
    uno: Pair, stack: Stack, tmp_path: Path
) -> None:
    rig = Rig(uno, stack, tmp_path)
    ended = rig.play(tell(SEED))
    assert ended.violations == [], rig.evidence()
