"""Files of the guard's own; what depends on one is never held up by a disk that takes no more."""

from __future__ import annotations

from pathlib import Path

from ..durable import install
from ..journal import Journal


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
