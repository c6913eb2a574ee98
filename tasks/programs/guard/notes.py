"""Files of the guard's own; what depends on one is never held up by a disk that takes no more."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .journal import Journal


def keep(journal: Journal, path: Path, text: str, mode: int) -> bool:
    """Write a file if that can be done; what depends on it has been done, or is done anyway."""
    try:
        install(path, text, mode)
    except OSError as error:
        journal.complain(f"{path} cannot be written: {error}. HINT: see df and mount here")
        return False
    return True


def forget(journal: Journal, path: Path) -> bool:
    """Remove a file if that can be done; tell whether it has gone."""
    try:
        path.unlink()
    except OSError as error:
        journal.complain(f"{path} cannot be removed: {error}. HINT: see mount here")
        return False
    return True


def install(path: Path, text: str, mode: int) -> None:
    """Write a file whole and durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w") as file:
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


def sync(folder: Path) -> None:
    """Have a folder's names survive a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
