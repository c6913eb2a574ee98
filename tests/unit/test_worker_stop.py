"""docs/server/worker-stop: what a stop of the worker waits for."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "docs/server/worker-stop"
WORKER = 'for flow; do PREFECT__FLOW_NAME=$flow sleep 300 & echo "$!"; done; exec sleep 300'


@contextmanager
def worker(*flows: str) -> Iterator[tuple[int, list[int]]]:
    """Run a process with a child for each flow, as Prefect's worker has them."""
    process = subprocess.Popen(
        ["sh", "-c", WORKER, "worker", *flows], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    runs = [int(process.stdout.readline()) for _ in flows]
    try:
        yield process.pid, runs
    finally:
        for each in (process.pid, *runs):
            os.kill(each, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def stop(pid: str, seconds: float) -> int:
    words = [str(PROGRAM), *([pid] if pid else [])]
    return subprocess.run(words, check=False, timeout=seconds).returncode


def test_a_stop_waits_for_a_procedure_and_for_nothing_that_goes_by_schedule() -> None:
    with worker("failover", "copies", "rsync-filestore", "board") as (pid, runs):
        with pytest.raises(subprocess.TimeoutExpired):
            stop(str(pid), 2.5)
        os.kill(runs[0], signal.SIGTERM)
        assert stop(str(pid), 30) == 0


def test_a_worker_that_has_gone_is_not_waited_for() -> None:
    assert stop("", 30) == 0
