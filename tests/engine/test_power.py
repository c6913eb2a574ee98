"""The power is cut, for real: what only memory knew is gone. No file has a name and no content."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.programs.filestore.care import Care
from tasks.programs.filestore.origin import Origin
from tasks.programs.filestore.verdict import verdicts
from tests.engine.clusters import Twins
from tests.engine.test_killed import run_engine, write_settings
from tests.lab.disk import Disk, Shelf

CUTS = int(os.environ.get("RELEVO_ENGINE_CUTS", "6"))


@contextlib.contextmanager
def _disk(shelf: Shelf, below: Path, *folders: Path) -> Iterator[Disk]:
    made = Disk(shelf.folder / "disk.img", below, gigabytes=2)
    shelf.up()
    try:
        made.mount()
        made.mounted.chmod(0o755)
        for folder in folders:
            folder.mkdir()
        made.sync()
        yield made
    finally:
        made.unmount()
        shelf.down()


@pytest.fixture
def disk(twins: Twins, tmp_path: Path) -> Iterator[Disk]:
    """A disk of its own below all that the engine writes."""
    with _disk(Shelf(tmp_path / "shelf"), twins.folder / "recovery", twins.ours) as made:
        yield made


@pytest.fixture
def their_disk(twins: Twins, tmp_path: Path) -> Iterator[Disk]:
    """A disk of its own below the origin's data directory."""
    with _disk(Shelf(tmp_path / "shelf"), twins.data, twins.theirs) as made:
        yield made


def cut(disk: Disk, *processes: "subprocess.Popen[Any] | None") -> None:
    """Stop all who write at this instant, and go on with what the disk has."""
    at_work = [each for each in processes if each is not None]
    for process in at_work:
        process.send_signal(signal.SIGSTOP)
    disk.copy()
    for process in at_work:
        process.kill()
        process.communicate()
    disk.unmount()
    disk.become_copy()
    disk.mount()


def sync_something_else(disk: Disk) -> None:
    """Have the journal take all names, as any other program's fsync does."""
    with (disk.mounted / "foreign").open("w") as file:
        os.fsync(file.fileno())


def missing(twins: Twins) -> list[str]:
    named = {str(row[0]) for row in twins.standby.sql("SELECT store_fname FROM ir_attachment")}
    return sorted(name for name in named if not twins.has(name))


def test_what_the_fast_look_fetched_is_whole_or_not_there(twins: Twins, disk: Disk) -> None:
    with twins.engine() as engine:
        engine.sweep()
        engine.tail("shop")
        names = twins.attach(*(os.urandom(20_000) for _ in range(200)))
        twins.catch_up()
        assert engine.tail("shop") == len(names)
    sync_something_else(disk)
    cut(disk)
    assert twins.wrong() == []


def test_what_a_pass_called_done_is_there(twins: Twins, disk: Disk) -> None:
    twins.attach(*(os.urandom(20_000) for _ in range(300)))
    twins.catch_up()
    done = run_engine("pass", write_settings(twins))
    said, _ = done.communicate(timeout=60)
    assert done.returncode == 0, said
    cut(disk)
    assert twins.wrong() == []
    assert missing(twins) == []


def test_a_power_cut_at_any_moment_leaves_work_and_nothing_wrong(twins: Twins, disk: Disk) -> None:
    settings, chance = write_settings(twins), random.Random(7)
    for _ in range(CUTS):
        twins.attach(*(os.urandom(chance.randrange(1, 60_000)) for _ in range(150)))
        twins.catch_up()
        engine = run_engine("pass", settings)
        time.sleep(chance.uniform(0.2, 0.7))
        sync_something_else(disk)
        cut(disk, engine)
        assert twins.wrong() == []
        twins.standby.stop("immediate")
        twins.standby.start()
        after = run_engine("pass", settings)
        said, _ = after.communicate(timeout=60)
        assert after.returncode == 0, said
        assert missing(twins) == []


def spoil(twins: Twins) -> list[str]:
    """Leave what a power cut of then has left: names without a content, and one of zeros."""
    names = twins.attach(*(os.urandom(5000) for _ in range(6)))
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
    for name in names[:3]:
        os.truncate(twins.ours / "shop" / name, 0)
    (twins.ours / "shop" / names[3]).write_bytes(bytes(5000))
    assert len(twins.wrong()) == 4
    return names


def boot(twins: Twins) -> None:
    """Let the engine find another boot than the one in which it looked last."""
    with twins.engine() as engine:
        engine.state.note("looked/shop", "an earlier boot")
    twins.standby.stop("immediate")
    twins.standby.start()


def test_after_a_boot_what_a_cut_has_spoiled_is_found_and_fetched(twins: Twins) -> None:
    names = spoil(twins)
    boot(twins)
    with twins.engine() as engine:
        engine.sweep()
    assert twins.wrong() == []
    assert all(map(twins.has, names))


def test_after_a_boot_with_the_origin_dead_the_verdict_names_what_is_spoiled(twins: Twins) -> None:
    names = spoil(twins)
    boot(twins)
    with twins.engine(channel=("false",)) as engine:
        (verdict,) = (each for each in verdicts(engine) if each.database == "shop")
    assert sorted(loss.file for loss in verdict.losses) == sorted(names[:4])


def test_what_is_spoiled_here_is_healed_and_refuses_no_failback(twins: Twins) -> None:
    names = spoil(twins)
    socket, port = str(twins.primary.socket), twins.primary.port
    twins.open("failback")
    with twins.engine(serving=True, socket=socket, port=port) as engine:
        os.truncate(twins.ours / "shop" / names[3], 7)
        assert Care(engine).push()["refused"] == {}
    assert twins.wrong() == []
    assert all(map(twins.has, names))


def test_what_the_origin_was_given_is_whole_or_not_there(twins: Twins, their_disk: Disk) -> None:
    twins.open("failback")
    (twins.ours / "shop").mkdir()
    given = [_here(twins, f"document {number}".encode() * 1000) for number in range(300)]
    origin = Origin(twins.gate(), "uno")
    assert origin.put(given) == {}
    sync_something_else(their_disk)
    cut(their_disk, origin.process)
    origin.close()
    assert twins.wrong(twins.theirs) == []
    assert origin.put(given) == {}
    cut(their_disk, origin.process)
    origin.close()
    assert twins.wrong(twins.theirs) == []
    assert [path for path, _ in given if not (twins.theirs / path).exists()] == []


def test_what_the_origin_was_given_stays_there_when_its_gate_dies(twins: Twins) -> None:
    """It names what it takes many at a time: what it had said yes to was gone without a word."""
    twins.open("failback")
    (twins.ours / "shop").mkdir()
    given = [_here(twins, f"document {number}".encode()) for number in range(9)]
    origin = Origin(twins.gate(), "uno")

    assert origin.put(given) == {}
    assert origin.process is not None
    origin.process.kill()
    origin.process.wait()
    assert origin.put([]) == {}, "another gate, which knows of nothing that was lost"
    origin.close()

    assert [path for path, _ in given if not (twins.theirs / path).exists()] == []


def _here(twins: Twins, content: bytes) -> tuple[str, str]:
    digest = hashlib.sha1(content).hexdigest()
    path = twins.ours / "shop" / digest[:2] / digest
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return f"shop/{digest[:2]}/{digest}", str(path)
