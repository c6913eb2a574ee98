"""A disk of the runner that takes nothing keeps no procedure from its work, nor from its end."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from deployments import break_glass, log_file

RUN = """
import sys
from pathlib import Path
from deployments import break_glass
with break_glass.journalled(Path(sys.argv[1]), "failover-vps_1") as path:
    for number in range(3):
        break_glass.LOG.info("step %d", number)
print("the run has ended well")
"""


def _no_room() -> None:
    """Let this process write no byte into any file, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_disk_that_is_full_is_said_once_and_the_run_ends_as_it_ended(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-c", RUN, str(tmp_path)),
        preexec_fn=_no_room, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == "the run has ended well\n"
    assert [f"step {n}" in done.stderr for n in range(3)] == [True] * 3
    assert done.stderr.count("cannot be written: File too large; the run goes on") == 1
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_made_has_the_log_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory, closed = tmp_path / "memory", tmp_path / "closed"
    memory.mkdir()
    closed.write_text("a file, in which no folder can be made")
    monkeypatch.setattr(log_file, "MEMORY", memory)

    with break_glass.journalled(closed / "runs", "failover-vps_1") as path:
        break_glass.LOG.info("promoted")

    assert path.is_relative_to(memory)
    assert "promoted" in path.read_text()
    said = capsys.readouterr().err
    assert f"{closed}/runs cannot be written: Not a directory; the log of this run is in" in said
