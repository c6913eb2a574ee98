"""A run is forked from what has everything imported, and nobody can tell the difference."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployments import forked, forkserver
from deployments.deployed import COMMAND, FORKED

ROOT = Path(__file__).parents[2]
# What it is to run: a module of its own, which says who and where it is.
RUN = """
import os, signal, sys, time
warm = "prefect" in sys.modules
print(os.getppid(), os.getcwd(), os.environ["SAID"], sys.argv[1:], warm, flush=True)
if "wait" in sys.argv:
    time.sleep(60)
sys.exit(7)
"""


def until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


class Runner:
    """Whoever starts runs: with a folder of Prefect's, and a module to run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "told.py").write_text(RUN)
        self.socket = home / f"{forked.NAME}.sock"
        self.env = {
            **os.environ, "PREFECT_HOME": str(home), "SAID": "this",
            "PYTHONPATH": f"{ROOT}:{home}", "PREFECT__FLOW_RUN_ID": "one",
        }  # fmt: skip

    def start(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        command = (sys.executable, "-I", "-S", str(FORKED), "-m", "told", *words)
        return subprocess.Popen(
            command, env={**self.env, **env}, cwd=ROOT, text=True, stdout=subprocess.PIPE
        )

    def said(self, *words: str, **env: str) -> tuple[list[str], int]:
        with self.start(*words, **env) as process:
            out, _ = process.communicate(timeout=60)
            return out.split(), process.returncode

    @contextmanager
    def waiting(self) -> Iterator[tuple["subprocess.Popen[str]", int, int]]:
        """Start a run that waits; give what was started, the fork server and what that forked."""
        with self.start("wait") as process:
            assert process.stdout is not None
            server = int(process.stdout.readline().split()[0])
            (child,) = _children(server)
            yield process, server, child

    def warm(self) -> None:
        """Wait until there is a fork server; a run that starts by itself leaves one behind."""
        until(lambda: int(self.said()[0][0]) != os.getpid())


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    made = Runner(tmp_path_factory.mktemp("home"))
    yield made
    made.socket.unlink(missing_ok=True)  # a fork server without its socket ends
    with (made.home / f"{forked.NAME}.lock").open("w") as lock:
        until(lambda: _is_free(lock.fileno()))


def _is_free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_the_first_run_starts_by_itself_and_the_next_is_forked(runner: Runner) -> None:
    """Its folder, words, environment and end are those that the worker gave and gets."""
    (parent, folder, said, *words), status = runner.said("a", "b")
    assert (int(parent), folder, said, words, status) == (
        os.getpid(), str(ROOT), "this", ["['a',", "'b']", "False"], 7,
    )  # fmt: skip
    until(runner.socket.exists)
    (parent, folder, said, *words), status = runner.said("a", "b", SAID="that")
    assert int(parent) != os.getpid()
    assert (folder, said, words, status) == (str(ROOT), "that", ["['a',", "'b']", "True"], 7)


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(each) for each in path.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_what_the_worker_started_ends_what_was_forked(
    runner: Runner, number: signal.Signals
) -> None:
    runner.warm()
    with runner.waiting() as (process, _, child):
        process.send_signal(number)
        status = process.wait(20)
        until(lambda: not forked.alive(child))
    assert status == -number


def test_a_run_that_is_killed_is_told_as_killed(runner: Runner) -> None:
    runner.warm()
    with runner.waiting() as (process, _, child):
        os.kill(child, signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL


def test_a_run_goes_on_though_the_server_dies_and_the_next_has_another(runner: Runner) -> None:
    runner.warm()
    with runner.waiting() as (process, server, child):
        os.kill(server, signal.SIGKILL)
        until(lambda: not _runs(server))
        assert forked.alive(child)
        assert process.poll() is None
        (parent, *_), status = runner.said()
        assert (int(parent), status) == (os.getpid(), 7)
        process.terminate()
        assert process.wait(20) == forked.LOST
    until(lambda: runner.said()[0][0] not in {str(server), str(os.getpid())})


def _runs(process: int) -> bool:
    """Whether a process lives that nobody may have waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_code_that_was_changed_since_is_run_as_it_is_now(runner: Runner) -> None:
    runner.warm()
    before = runner.said()[0][0]
    path = Path(forkserver.__file__)
    facts = path.stat()
    try:
        os.utime(path)
        (parent, *_), status = runner.said()
        assert (int(parent), status) == (os.getpid(), 7)
        until(lambda: runner.said()[0][0] not in {before, str(os.getpid())})
    finally:
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _answer(client: socket.socket) -> bytes:
    try:
        return client.recv(1)
    except ConnectionResetError:  # closed before all was read
        return b""


def test_nobody_else_and_no_nonsense_is_served(runner: Runner) -> None:
    runner.warm()
    assert runner.socket.stat().st_mode & 0o777 == 0o600
    for sent in (b"", b"GET / HTTP/1.0\r\n\r\n", (1 << 40).to_bytes(8, "big") + b"x"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(runner.socket))
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert _answer(client) == b""
    assert runner.said()[1] == 7


def test_what_was_forked_for_a_client_that_has_begun_by_itself_runs_nothing(
    runner: Runner, tmp_path: Path
) -> None:
    """A server that stalls, or dies in between, once let one run begin twice."""
    runner.warm()
    env = {**runner.env, "SAID": "never"}
    words = [sys.executable, str(ROOT), "2", "-m", "told", *(f"{k}={v}" for k, v in env.items())]
    text = os.fsencode("\0".join(words))
    told, tell = os.pipe()
    with (tmp_path / "said").open("w") as said, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(runner.socket))
        files = [said.fileno()] * 3
        socket.send_fds(client, [len(text).to_bytes(8, "big")], [*files, told])
        client.sendall(text)
        with client.makefile("r") as lines:
            child = int(lines.readline())
            assert forked.alive(child), "it waits for the word"
            os.close(tell)
            assert lines.readline() == "0\n", "it ended, and ran nothing"
    os.close(told)
    assert (tmp_path / "said").read_text() == ""


def test_the_worker_is_told_to_ask_the_fork_server() -> None:
    assert COMMAND.endswith("forked.py -m prefect.engine")
