"""The stories of the night are the same where Prefect, and what it brings, cannot be imported."""

import os
import subprocess
import sys
from pathlib import Path

from tests.broken import broken

ROOT = Path(__file__).parents[2]
STORIES = [f"tests/flows/test_stories_{name}.py" for name in ("refusing", "deciding", "half_done")]


def test_stories_of_moves_are_told_in_a_shell_in_which_prefect_is_broken(tmp_path: Path) -> None:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT", "PYTEST"))}
    env = {**kept, "RELEVO_RUNTIME": "shell", "PYTHONPATH": broken(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *STORIES],
        env=env, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
