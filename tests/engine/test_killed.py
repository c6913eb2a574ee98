"""The engine is killed, or runs out of disk, at any moment: nothing wrong, nothing forgotten."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tasks.programs.filestore.trouble import Refusal
from tests.engine.clusters import Twins

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("RELEVO_KILLS", "25"))


def write_settings(twins: Twins) -> Path:
    path = twins.folder / "filestore.json"
    path.write_text(twins.settings().text())
    return path


def run_engine(verb: str, settings: Path, *before: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*before, sys.executable, "-m", "tasks.programs.filestore", verb, str(settings)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
    )  # fmt: skip


def test_an_engine_that_is_killed_at_any_moment_leaves_work_and_nothing_wrong(
    twins: Twins,
) -> None:
    settings, chance = write_settings(twins), random.Random(11)
    took = 0.5
    killed = 0
    while killed < KILLS:
        names = twins.attach(*(os.urandom(chance.randrange(1, 200_000)) for _ in range(20)))
        twins.catch_up()
        begun = time.monotonic()
        engine = run_engine("pass", settings)
        try:
            engine.communicate(timeout=chance.random() * took)
        except subprocess.TimeoutExpired:
            engine.send_signal(signal.SIGKILL)
            engine.communicate()
            killed += 1
        else:
            took = 1.1 * (time.monotonic() - begun)
            assert all(map(twins.has, names))
        assert twins.wrong() == []
    done = run_engine("pass", settings)
    said, _ = done.communicate(timeout=60)
    assert done.returncode == 0, said
    named = {str(row[0]) for row in twins.standby.sql("SELECT store_fname FROM ir_attachment")}
    assert [name for name in named if not twins.has(name)] == []
    stages = Path(twins.settings().work) / "stage"
    assert [path for path in stages.rglob("*") if path.is_file()] == []


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_said_and_the_next_pass_goes_on(twins: Twins) -> None:
    names = twins.attach(*(os.urandom(300_000) for _ in range(4)))
    twins.catch_up()
    settings, place = write_settings(twins), twins.folder / "recovery"
    with _small_disk(place):
        full = run_engine("pass", settings)
        said, _ = full.communicate(timeout=60)
        assert full.returncode == Refusal.status, said
        assert "the disk is full" in said
        assert twins.wrong() == []
        subprocess.run(["mount", "-o", "remount,size=16m", place], check=True)
        good = run_engine("pass", settings)
        said, _ = good.communicate(timeout=60)
        assert good.returncode == 0, said
        assert all(map(twins.has, names))
