"""A browser on the UI of the drills' own server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.ui.desk import Desk, opened
from tests.drills.ui.reader import Reader
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
def reader(request: pytest.FixtureRequest, stack: Stack, inventory_path: Path) -> Iterator[Reader]:
    """Who reads: Relevo speaks to them in their language."""
    chosen: Reader = request.param
    text = inventory_path.read_text()
    apply = ("--inventory", str(inventory_path), "apply")
    if chosen.language != "en":
        inventory_path.write_text(f"language: {chosen.language}\n{text}")
        stack.run(*apply)
    yield chosen
    if chosen.language != "en":
        inventory_path.write_text(text)
        stack.run(*apply)


@pytest.fixture
def desk(stack: Stack, generic: None, reader: Reader, tmp_path: Path) -> Iterator[Desk]:
    """Pictures go to a folder that is thrown away, or to RELEVO_SCREENSHOTS."""
    kept = Path(os.environ.get("RELEVO_SCREENSHOTS", tmp_path))
    if reader.language != "en":
        kept /= reader.language
    kept.mkdir(exist_ok=True)
    with opened(stack, kept, reader) as made:
        yield made
