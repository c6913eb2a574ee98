"""What is said, and what is written down: to last."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path


def stamp(at: float) -> str:
    """
    >>> stamp(0.0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def install(path: Path, text: str, mode: int) -> None:
    """Write a file whole and durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):  # of a process that died
        beside.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(beside, flags, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), mode)
    beside.replace(path)
    folder = os.open(str(path.parent), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
