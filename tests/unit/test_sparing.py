"""A command that writes what a peer says takes no more of a disk than there is for it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import Refused
from tasks.host.job import SPARING, run_job, sparing
from tasks.programs import sparing as program
from tests.fakes import FakeHost

MB = 1 << 20
# Writes without end, as rsync does whose origin has a file that is as good as endless.
ENDLESS = """
import sys, time
with open(sys.argv[1], "wb", buffering=0) as file:
    while True:
        file.write(bytes(1 << 20))
        time.sleep(0.002)
"""
PRINTS = "import time\nwhile True:\n    print('x' * 65536, flush=True)\n    time.sleep(0.001)\n"


def python(text: str, *words: str) -> tuple[str, ...]:
    return sys.executable, "-I", "-S", "-c", text, *words


def keeping(most: int, **others: int) -> str:
    """The program, on a disk that has so many bytes less than are to be kept free."""
    text = SPARING.replace(
        "KEPT_BYTES, KEPT_SHARE = 1 << 30, 0.05", f"KEPT_BYTES, KEPT_SHARE = {most}, 1.0"
    )
    for name, value in others.items():
        text, changed = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert changed == 1
    assert text != SPARING
    return text


def free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_what_writes_without_end_is_ended_before_the_last_of_the_disk(tmp_path: Path) -> None:
    text = keeping(free(tmp_path) - 64 * MB)
    endless = python(ENDLESS, str(tmp_path / "file"))
    done = subprocess.run(
        [*python(text, str(tmp_path), "/nowhere", "--"), *endless],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == program.FULL
    assert f"was ended: the disk of {tmp_path} is full" in done.stderr
    assert (tmp_path / "file").stat().st_size < 1 << 30


def test_a_disk_that_was_full_before_ends_nothing_that_takes_next_to_nothing(
    tmp_path: Path,
) -> None:
    # Others write to this disk meanwhile.
    text = keeping(free(tmp_path) + 64 * MB, NEXT_TO_NOTHING=1 << 40)
    small = python(
        "import sys, time; open(sys.argv[1], 'w').write('x'); time.sleep(0.3); sys.exit(23)",
        str(tmp_path / "file"),
    )
    done = subprocess.run([*python(text, str(tmp_path), "--"), *small], timeout=60, check=False)
    assert done.returncode == 23


def test_what_prints_without_end_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab") as out:
        done = subprocess.run(
            [*python(keeping(0, SAID_BYTES=4 * MB), str(tmp_path), "--"), *python(PRINTS)],
            stdout=out, stderr=out, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == program.FULL
    assert log.stat().st_size < 512 * MB
    assert log.read_bytes().endswith(b"it has printed more than 4 MB\n")


@pytest.mark.parametrize(("given", "status"), [(7, 7), (-9, 137)])
def test_it_ends_as_the_command_does(given: int, status: int) -> None:
    text = f"import os, sys; os.kill(os.getpid(), 9) if {given} < 0 else sys.exit({given})"
    argv = sparing(python(text), (PurePosixPath("/tmp"),))
    done = subprocess.run([sys.executable, *argv[1:]], timeout=60, check=False)
    assert done.returncode == status


def test_told_to_end_it_tells_the_command() -> None:
    text = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(20)); print(flush=True)\n"
    )
    argv = [*python(SPARING, "--"), *python(f"{text}time.sleep(60)")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as talk:
        assert talk.stdout is not None
        assert talk.stdout.readline() == b"\n"
        time.sleep(0.2)
        talk.send_signal(signal.SIGTERM)
        assert talk.wait(30) == 20


def test_a_copy_that_was_ended_for_the_disk_is_refused_and_not_tried_again() -> None:
    shown = "ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=28\n"
    said = "rsync error\nrelevo: rsync was ended: the disk of /srv is full, but for the rest\n"
    due = FakeHost("due", {"systemctl show *": shown, "start *": "", "end *": said})
    with pytest.raises(Refused, match=r"rsync on due was ended: the disk of /srv is full"):
        run_job(
            due.shell(), "x", ("rsync", "-a"), user="odoo", timeout_seconds=1,
            spares=(PurePosixPath("/srv"),),
        )  # fmt: skip
