"""What is written on the hosts, to survive a power cut."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def install(path: Path, text: str, mode: int) -> None:
    """Write a file whole and durable; through no link that somebody has put beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):  # of a process that died
        beside.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(os.open(beside, flags, 0o600), "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):  # the first one says it
            beside.unlink()
        raise


def sync(path: str | Path) -> None:
    """Wait until the disk has a file, or a folder's names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
