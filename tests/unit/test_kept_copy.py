"""Which copy of a data directory counts as one of what is there now, asked of a real folder."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from blocks.instance import Place
from blocks.shell import Completed
from tasks.postgres.controldata import ControlData
from tasks.standby import rewind


def run(argv: Sequence[str], *, user: str, check: bool = True) -> Completed:
    assert user == "postgres"
    done = subprocess.run(argv, capture_output=True, text=True, check=check, timeout=60)
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


PLACE = cast(
    "Place",
    SimpleNamespace(
        host=SimpleNamespace(shell=lambda: SimpleNamespace(run=run)),
        cluster=SimpleNamespace(owner="postgres"),
    ),
)


@pytest.mark.parametrize("start", ["before", "since", "unknown"])
def test_a_copy_of_before_a_start_is_none_of_what_is_there_now(tmp_path: Path, start: str) -> None:
    """A failback dies after its copy, and somebody lets the origin serve again for half an hour.

    pg_rewind would take back what was written in it, and nobody would have it.
    """
    data, kept = tmp_path / "main", tmp_path / "main.quarantine-1-0-30"
    data.mkdir()
    for when in ("before", "since"):
        if start == when:
            (data / "postmaster.opts").write_text("postgres\n")
        time.sleep(0.02)
        kept.mkdir(exist_ok=True)

    control = cast("ControlData", SimpleNamespace(timeline=1))
    found = rewind._kept(PLACE, PurePosixPath(data), control)

    assert found == (PurePosixPath(kept) if start == "before" else None)
