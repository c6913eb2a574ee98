"""A browser on the UI of the drills' own server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.ui.desk import Desk, opened
from tests.stack import ROOT, Stack


@pytest.fixture(scope="session")
def generic(stack: Stack) -> None:
    """The buttons whose form asks for the instance, as prefect.yaml has them."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=stack.env, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def desk(stack: Stack, generic: None, tmp_path: Path) -> Iterator[Desk]:
    """Pictures go to a folder that is thrown away, or to RELEVO_SCREENSHOTS."""
    with opened(stack, Path(os.environ.get("RELEVO_SCREENSHOTS", tmp_path))) as made:
        yield made
