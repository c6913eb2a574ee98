"""A long command that failed says how it ended, so that nobody has to read its sentence."""

import pytest

from blocks.errors import CommandFailed
from tasks.host.job import run_job
from tests.fakes import FakeHost

SAID = "".join(f"line {number}\n" for number in range(1, 13))


def _failed(result: str, status: int) -> CommandFailed:
    shown = f"ActiveState=failed\nSubState=failed\nResult={result}\nExecMainStatus={status}\n"
    due = FakeHost("due", {"systemctl show *": shown, "start *": "", "end *": SAID})
    with pytest.raises(CommandFailed, match=rf"with status {status} \({result}\)") as failed:
        run_job(due.shell(), "x", ("rsync", "-a"), user="root", timeout_seconds=1)
    return failed.value


def test_a_job_that_failed_keeps_its_status_its_command_and_its_last_ten_lines() -> None:
    error = _failed("exit-code", 12)

    assert (error.status, error.argv) == (12, ("rsync", "-a"))
    assert error.last_lines == tuple(f"line {number}" for number in range(3, 13))


def test_a_job_that_a_signal_has_ended_has_no_status_of_its_own() -> None:
    assert _failed("signal", 12).status is None
