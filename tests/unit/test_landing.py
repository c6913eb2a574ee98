"""What comes in while the disk is in trouble leaves nothing behind."""

import hashlib
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.programs.filestore import landing
from tasks.programs.filestore.answer import OK, Answer
from tasks.programs.filestore.landing import Arrivals
from tasks.programs.filestore.names import Key
from tasks.programs.filestore.store import Store


def _come(arrivals: Arrivals, content: bytes) -> None:
    digest = hashlib.sha1(content).hexdigest()
    key = Key("shop", f"{digest[:2]}/{digest}")
    assert arrivals.admit(key, Answer(OK, len(content), io.BytesIO(content)))


def _come_all(arrivals: Arrivals) -> None:
    try:
        for number in range(45):
            _come(arrivals, b"%d" % number)
    finally:
        arrivals.settle()


def _within(folder: Path) -> int:
    return len([*folder.iterdir()])


def _open_below(folder: Path) -> set[Path]:
    """Name what this process holds open there: other tests open and close files meanwhile."""
    held = {Path(os.path.realpath(entry)) for entry in Path("/proc/self/fd").iterdir()}
    return {path for path in held if path.is_relative_to(folder.resolve())}


def test_a_disk_that_cannot_sync_keeps_no_stage_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that follows the files lives for months, on the very disk that is in trouble."""

    def fails(_: int) -> None:
        time.sleep(0.2)
        raise OSError(5, "syncfs failed")

    monkeypatch.setattr(landing, "sync_disk", fails)
    monkeypatch.setattr(landing, "FIRST", 10)
    monkeypatch.setattr(landing, "MOST", 10)
    store = Store(*(str(tmp_path / name) for name in ("files", "work", "trash")))
    with ThreadPoolExecutor(1) as disk:
        arrivals, before = Arrivals(store, disk), _open_below(tmp_path)
        with pytest.raises(OSError, match="syncfs failed"):
            _come_all(arrivals)
        assert _within(tmp_path / "work" / "stage") == 0
        assert _open_below(tmp_path) == before
    assert not (tmp_path / "files" / "shop").exists(), "nothing was named"
