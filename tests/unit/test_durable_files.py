"""Files that programs write on the hosts: whole or not at all, and through nobody's link."""

import os
from pathlib import Path

import pytest

from tasks.programs.durable import install


def beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def test_a_file_is_written_with_its_folder_and_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "held"
    install(path, "one\n", 0o640)
    install(path, "two\n", 0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_what_a_dead_process_left_beside_is_replaced_and_a_link_is_not_followed(
    tmp_path: Path,
) -> None:
    path, strangers = tmp_path / "held", tmp_path / "strangers"
    strangers.write_text("theirs\n")
    beside(path).symlink_to(strangers)
    install(path, "ours\n", 0o600)
    assert (path.read_text(), strangers.read_text()) == ("ours\n", "theirs\n")
    assert not path.is_symlink()


def test_what_cannot_be_written_leaves_the_file_of_before_and_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "held"
    install(path, "before\n", 0o600)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        install(path, "after\n", 0o600)
    assert path.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [path]
