"""What stands before what in a runbook, where customers wait for it."""

import ast
from pathlib import Path

FLOWS = Path(__file__).parents[2] / "flows"


def _steps(flow: str) -> list[str]:
    """Name the steps of a story in the order in which they stand there."""
    tree = ast.parse((FLOWS / f"{flow}.py").read_text())
    story = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == flow)
    calls = [node for node in ast.walk(story) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    return [ast.unparse(call.func) for call in calls]


def test_customers_see_it_before_the_checkpoint() -> None:
    steps = _steps("failover")
    shown = [steps.index(each) for each in ("site.enable", "dns.point")]
    for later in ("cluster.checkpoint", "find_missing"):
        assert max(shown) < steps.index(later), later


def test_alarms_leave_before_the_pages_to_be_followed_by_hand_are_drawn() -> None:
    steps = _steps("board")
    for before in ("desk.measure", "announce.tell", "desk.publish"):
        assert steps.index(before) < steps.index("pages.refresh"), before


def test_a_set_up_changes_nothing_before_it_has_asked_for_all() -> None:
    steps = _steps("replicate")
    assert steps.index("ahead.require") < steps.index("setup_primary.prepare")


def test_the_set_up_of_a_primary_and_a_clone_are_refused_before_their_first_change() -> None:
    steps = _steps("setup_primary")
    assert steps.index("ahead.require_origin") < steps.index("prepare")
    steps = _steps("basebackup")
    assert steps.index("ahead.require_clone") < steps.index("build")
