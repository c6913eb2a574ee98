"""What a program of ours is told on a host: facts, as JSON."""

import json
from collections.abc import Mapping


def render(facts: Mapping[str, object]) -> str:
    """
    >>> print(render({"wait_seconds": 15, "place": "origin"}), end="")
    {
      "place": "origin",
      "wait_seconds": 15
    }
    """
    return json.dumps(facts, indent=2, sort_keys=True) + "\n"
