"""One JSON line a story, added up over several runs; `python -m tests.chaos.results` shows them."""

import json
import sys
from collections import Counter
from pathlib import Path

from tests.chaos.rig import Ended
from tests.chaos.story import Story, tell

KEPT = Path("docs/benchmarks/chaos.jsonl")


def line(ended: Ended, *, lab: str, synchronous: str = "off") -> dict[str, object]:
    """What is kept of a story."""
    kept = {} if synchronous == "off" else {"synchronous": synchronous}
    return {
        "seed": ended.story.seed, "lab": lab, "story": told(ended.story), **kept,
        "buttons": ended.steps, "acknowledged": ended.acknowledged, "lost": ended.lost,
        "losses_accepted": ended.accepted, "seconds": round(ended.seconds),
        "violations": ended.violations,
    }  # fmt: skip


def read(path: Path, *, synchronous: str = "off") -> dict[int, dict[str, object]]:
    """The newest line of each seed, of the stories that were played under this policy."""
    if not path.exists():
        return {}
    lines = (json.loads(text) for text in path.read_text().splitlines())
    return {
        int(each["seed"]): each for each in lines if each.get("synchronous", "off") == synchronous
    }


def ended_well(seed: int, stories: dict[int, dict[str, object]]) -> bool:
    """Whether the story that this seed tells today was played without a violation."""
    known = stories.get(seed, {"story": None})
    return known["story"] == told(tell(seed)) and not known["violations"]


def told(story: Story) -> str:
    return str(story).partition(": ")[2]


def table(stories: dict[int, dict[str, object]]) -> str:
    """
    >>> print(table({1: {"seed": 1, "story": "failback from away; cut origin after 1 s for 2 s",
    ...     "buttons": ["failback", "failback", "check"], "acknowledged": 9, "lost": 0,
    ...     "losses_accepted": 0, "seconds": 60, "violations": []}}).splitlines()[-1])
    | 1 | failback from away; cut origin after 1 s for 2 s | 2 failback, check | 9 | 0 | 60 | none |
    """
    rows = [
        "| seed | story | buttons pressed | acknowledged | lost | seconds | violations |",
        "|---|---|---|---|---|---|---|",
    ]
    for seed in sorted(stories):
        each = stories[seed]
        accepted = " (within what was stated)" if each["losses_accepted"] else ""
        said = "; ".join(str(one) for one in _list(each["violations"]))
        broken = " ".join(said.split()) or "none"
        rows.append(
            f"| {seed} | {each['story']} | {_counted(_list(each['buttons']))} "
            f"| {each['acknowledged']} | {each['lost']}{accepted if each['lost'] else ''} "
            f"| {each['seconds']} | {broken} |"
        )
    return "\n".join(rows)


def _list(value: object) -> list[object]:
    assert isinstance(value, list), "written by line()"
    return value


def _counted(buttons: list[object]) -> str:
    return ", ".join(
        f"{times} {button}" if times > 1 else str(button)
        for button, times in Counter(buttons).items()
    )


if __name__ == "__main__":
    print(table(read(Path(sys.argv[1]) if sys.argv[1:] else KEPT)))
