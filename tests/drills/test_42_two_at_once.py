"""A whole data centre goes dark: two origins at once, and one recovery host for both."""

from tests.oracles import Pair, no_strangers
from tests.stack import Stack


def test_two_origins_that_die_at_once_are_moved_and_brought_home_side_by_side(
    uno: Pair, dos: Pair, stack: Stack
) -> None:
    for pair in (uno, dos):
        pair.origin.machine.crash()
    runs = [
        stack.press(f"failover/{pair.name}", origin_is_down=True, reason="the data centre is dark")
        for pair in (uno, dos)
    ]
    for run in runs:
        stack.require_complete(run)
    for pair in (uno, dos):
        assert pair.at_recovery("SELECT pg_is_in_recovery()") == "f"
        pair.origin.machine.boot()

    for run in [stack.press(f"failback/{pair.name}") for pair in (uno, dos)]:
        stack.require_complete(run)
    for pair in (uno, dos):
        assert pair.is_home()
        no_strangers(pair)
