"""Turns on a host: who is below the highest executes nothing, and what is left of it is ended.

The folders are this machine's own, below a temporary one; the shells and processes are real.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blocks import turn, turn_program
from blocks.turn import Kind, Turn, verdict

NOTHING = subprocess.DEVNULL


class Host:
    """A host's folders, and what was started on it."""

    def __init__(self, top: Path) -> None:
        self.top, self.marks, self.started = top, top / "marks", [subprocess.Popen(("true",))]

    def argv(self, mine: Turn, script: str, kind: Kind = "ends") -> list[str]:
        judged = mine.judged(("sh", "-c", script), kind)
        return [each.replace("/run/relevo", str(self.top / "run")) for each in judged]

    def run(self, mine: Turn, script: str = "true") -> tuple[int, str]:
        done = subprocess.run(self.argv(mine, script), capture_output=True, text=True, check=False)
        return done.returncode, verdict(done.returncode, done.stderr)

    def start(self, mine: Turn, script: str, kind: Kind = "ends") -> "subprocess.Popen[bytes]":
        """Start a command, and wait until it is at work."""
        began = self.top / f"began-{len(self.started)}"
        line = self.argv(mine, f"touch {shlex.quote(str(began))}; {script}", kind)
        self.started.append(subprocess.Popen(line, stdout=NOTHING, start_new_session=True))
        _until(began.exists)
        return self.started[-1]

    def mark(self, text: str) -> str:
        return f"echo {text} >>{shlex.quote(str(self.marks))}"

    @property
    def marked(self) -> list[str]:
        return self.marks.read_text().split() if self.marks.exists() else []


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(turn_program, "RUN", tmp_path / "run")
    monkeypatch.setattr(turn_program, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(turn_program, "KILL_SECONDS", 0.3)
    made = Host(tmp_path)
    yield made
    for each in made.started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()


def _take(capsys: pytest.CaptureFixture[str], patience: float = 5) -> Turn:
    capsys.readouterr()
    assert turn_program.take("vps_1", patience) == 0
    return Turn("vps_1", capsys.readouterr().out.strip())


def test_who_is_below_the_highest_turn_executes_nothing(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    old = _take(capsys)
    assert host.run(old, "exit 3") == (3, "")
    new = _take(capsys)
    assert host.run(old, host.mark("old")) == (turn.REFUSED, "over")
    assert host.run(new, host.mark("new")) == (0, "")
    assert host.marked == ["new"]
    assert turn_program.enter("vps_1", old.number, 1) == turn.REFUSED, "nor does it come back"
    assert host.run(new) == (0, "")


def test_a_host_that_has_not_heard_of_a_turn_says_so_and_executes_nothing(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Turn("vps_1", f"{7:019d}")
    assert host.run(mine, host.mark("early")) == (turn.REFUSED, "unknown")
    assert turn_program.enter("vps_1", mine.number, 1) == 0
    assert host.run(mine) == (0, "")
    assert host.run(Turn("vps_1", f"{9:019d}")) == (turn.REFUSED, "unknown"), "not before it enters"
    assert host.run(Turn("vps_1.drill", mine.number)) == (turn.REFUSED, "unknown")
    assert host.marked == []


def test_a_status_of_the_commands_own_is_no_verdict(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run(_take(capsys), f"echo no; exit {turn.REFUSED}") == (turn.REFUSED, "")


def test_a_command_that_is_at_work_is_waited_for(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.start(_take(capsys), f"sleep 0.5; {host.mark('old')}")
    new = _take(capsys)
    assert host.run(new, host.mark("new")) == (0, "")
    assert host.marked == ["old", "new"]


STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


@pytest.mark.parametrize("script", ["sleep 60", STUBBORN, "runuser -u nobody -- sleep 60"])
def test_a_command_that_does_not_end_is_ended(
    host: Host, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = host.start(_take(capsys), f"{script}; {host.mark('old')}")
    begun = time.monotonic()
    _take(capsys, patience=0.3)
    assert old.wait(5) != 0
    assert 0.2 < time.monotonic() - begun < 5


def test_what_never_ends_by_itself_is_not_waited_for(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    relay = host.start(_take(capsys), "sleep 60", "stays")
    begun = time.monotonic()
    _take(capsys, patience=30)
    assert relay.wait(5) != 0
    assert time.monotonic() - begun < 5


def test_a_command_that_was_stopped_between_the_judgement_and_its_beginning_is_ended(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by a host that is frozen: awake again, it would begin beside the new run."""
    old = host.start(_take(capsys), f"sleep 0.2; {host.mark('old')}")
    os.killpg(old.pid, signal.SIGSTOP)
    new = _take(capsys, patience=0.1)
    os.killpg(old.pid, signal.SIGCONT)
    assert host.run(new, host.mark("new")) == (0, "")
    time.sleep(0.5)
    assert host.marked == ["new"]


def test_a_service_that_a_command_starts_holds_nobody_up(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = _take(capsys)
    assert host.run(mine, "setsid sleep 5 >/dev/null 2>&1 &") == (0, "")
    begun = time.monotonic()
    _take(capsys, patience=30)
    assert time.monotonic() - begun < 3


def test_turns_grow_whatever_the_clock_says_and_across_a_boot(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
    ahead = _take(capsys)
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    back = _take(capsys)
    for each in (host.top / "run" / "vps_1.turn").iterdir():
        each.unlink()
    booted = _take(capsys)
    assert ahead.number < back.number < booted.number
    for folder in ("run/vps_1.turn", "kept"):
        for each in (host.top / folder).iterdir():
            each.unlink()
    monkeypatch.setattr(time, "time_ns", lambda: 3 * 10**18)
    assert _take(capsys).number > booted.number, "the clock alone, where all is lost"


def test_nobody_but_root_can_hold_up_a_turn(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    mine = _take(capsys)
    folder = host.top / "run" / "vps_1.turn"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / mine.number).stat().st_mode & 0o077 == 0


def test_what_cannot_be_ended_is_named(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = host.start(_take(capsys), "exec sleep 60")
    monkeypatch.setattr(turn_program, "GIVE_UP_SECONDS", 2)
    # As a process bears it whose disk hangs.
    monkeypatch.setattr(turn_program.Process, "tell", lambda *_: None)
    capsys.readouterr()
    assert turn_program.main("take", "vps_1", "0.1") == turn.STUCK
    assert capsys.readouterr().out.endswith(" sleep\n")
    assert old.poll() is None


def test_the_program_runs_as_it_is_sent(tmp_path: Path) -> None:
    program = turn.PROGRAM.replace("/run/relevo", str(tmp_path / "run"))
    program = program.replace("/var/lib/relevo", str(tmp_path))
    argv = (sys.executable, "-I", "-S", "-c", program, "take", "vps_1", "10")
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip().isdigit()
    assert [each.name for each in (tmp_path / "run/vps_1.turn").iterdir()] == [done.stdout.strip()]
