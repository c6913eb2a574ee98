"""Several things in one command, really done; and for how long what a host has said serves."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from blocks import at_hand, lease
from blocks.errors import Busy, CommandFailed
from blocks.lease import HELD, Lease
from blocks.shell import Completed
from tasks.host import files, together
from tasks.host.together import Write, command
from tests.unit.test_files_program import SHELL

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")


@pytest.fixture
def held() -> Iterator[Lease]:
    mine = Lease("vps_1")
    token = HELD.set(mine)
    yield mine
    HELD.reset(token)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="relevo-together-") as path:
        yield Path(path)


def said(argv: tuple[str, ...]) -> Completed | None:
    return at_hand.find("here", command(*argv))


@NEEDS_ROOT
@pytest.mark.usefixtures("held")
def test_commands_and_files_are_asked_in_one_go(folder: Path) -> None:
    (folder / "there").write_bytes(b"\xff a line\n")
    sh, paths = ("sh", "-c", "echo out; echo err >&2; exit 3"), (f"{folder}/there", f"{folder}/no")
    pid = ("sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; kill -PIPE $$")

    together.look(SHELL, command(*sh), ("read", paths[0]), ("missing", *paths), command(*pid))

    done = said(sh)
    assert done is not None
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert files.read(SHELL, PurePosixPath(paths[0])).encode(errors="surrogateescape") == (
        b"\xff a line\n"
    )
    assert files.missing(SHELL, *map(PurePosixPath, paths)) == [paths[1]]
    long = said(pid)
    assert long is not None
    assert (long.status, len(long.stdout)) == (141, 300000), "SIGPIPE ends a command, as anywhere"
    assert together.ask(SHELL, sh, check=False) == done


@NEEDS_ROOT
@pytest.mark.usefixtures("held")
def test_a_file_that_cannot_be_read_is_asked_again_by_who_needs_it(folder: Path) -> None:
    (folder / "fifo").mkdir()
    (folder / "file").write_text("x")
    true = ("true",)

    together.look(SHELL, ("read", f"{folder}/fifo"), ("read", f"{folder}/file"), command(*true))

    assert said(true) is not None
    assert at_hand.find("here", ("read", f"{folder}/file")) is None, "it comes after what failed"
    with pytest.raises(CommandFailed, match=r"here cannot read .*/fifo: it is not a regular file"):
        files.read(SHELL, PurePosixPath(folder, "fifo"))


@NEEDS_ROOT
def test_files_are_written_in_their_order_and_the_first_that_fails_is_the_last(
    folder: Path,
) -> None:
    one, two = PurePosixPath(folder, "1"), PurePosixPath(folder, "2")
    (folder / "1").write_text("evidence")
    bad, aside = PurePosixPath(folder, "dir"), PurePosixPath(folder, "1.false")
    (folder / "dir").mkdir()

    assert together.write(SHELL, Write(one, "a", "444", aside), Write(two, "é", "600")) == [one]
    assert together.write(SHELL, Write(one, "b", "644")) == []

    assert [(folder / n).read_text() for n in ("1", "2", "1.false")] == ["b", "é", "evidence"]
    assert [(folder / n).stat().st_mode & 0o777 for n in ("1", "2")] == [0o644, 0o600]
    with pytest.raises(CommandFailed, match=r"here cannot write .*/dir"):
        together.write(
            SHELL, Write(two, "c", "600"), Write(bad, "c", "600"), Write(one, "c", "600")
        )
    assert [(folder / n).read_text() for n in ("1", "2")] == ["b", "c"]


DONE = Completed(("id",), 0, "0\n", "")


def keep(*, ago: float = 0) -> None:
    at_hand.keep("here", command("id"), DONE, since=lease.boot_seconds() - ago)


def test_an_answer_serves_for_a_moment_and_until_something_is_done_there(held: Lease) -> None:
    keep(ago=at_hand.MOMENT_SECONDS - 1)
    assert said(("id",)) == DONE
    at_hand.forget("elsewhere")
    assert said(("id",)) == DONE
    at_hand.forget("here")
    assert said(("id",)) is None

    keep(ago=at_hand.MOMENT_SECONDS + 1)
    assert said(("id",)) is None
    keep()
    held.lost = True
    with pytest.raises(Busy, match="lost its lock"):
        said(("id",))


def test_without_a_lease_nothing_is_kept() -> None:
    keep()
    assert said(("id",)) is None
