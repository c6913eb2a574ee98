"""What the engine knows is kept, unless it is really spoiled."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.programs.filestore.names import Key
from tasks.programs.filestore.state import State
from tasks.programs.filestore.state_file import is_spoiled

KEY = Key("shop", f"ab/{20 * 'ab'}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system that is soon full."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_at_the_opening_costs_nothing_of_what_is_known(small: Path) -> None:
    path = small / "state.sqlite"
    state = State(str(path))
    state.want([KEY])
    state.close()
    filler = small / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with pytest.raises(sqlite3.OperationalError):
        State(str(path))
    assert not list(small.glob("*.spoiled*"))
    filler.unlink()
    state = State(str(path))
    assert [each.key for each in state.pending()] == [KEY]
    state.close()


def test_what_is_spoiled_is_put_aside_whole_and_the_one_who_has_it_open_is_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.sqlite"
    open_already = State(str(path))
    open_already.want([KEY])
    assert open_already.stands()
    open_already.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.write(b"not a database at all")
    other = State(str(path))
    assert other.pending() == []
    assert {each.name for each in tmp_path.iterdir()} >= {
        "state.sqlite.spoiled", "state.sqlite.spoiled-wal",
    }  # fmt: skip
    assert other.stands()
    assert not open_already.stands()
    open_already.put_aside()
    assert other.stands(), "the good one is not put aside by who has the spoiled one open"
    for each in (open_already, other):
        each.close()


@pytest.mark.parametrize(
    ("error", "spoiled"),
    [
        (sqlite3.DatabaseError("file is not a database"), True),
        (sqlite3.DatabaseError("database disk image is malformed"), True),
        (sqlite3.OperationalError("database or disk is full"), False),
        (sqlite3.OperationalError("database is locked"), False),
        (sqlite3.OperationalError("disk I/O error"), False),
        (sqlite3.OperationalError("attempt to write a readonly database"), False),
        (OSError("file is not a database"), False),
    ],
)
def test_only_what_sqlite_calls_spoiled_is_spoiled(error: Exception, spoiled: bool) -> None:
    assert is_spoiled(error) is spoiled
