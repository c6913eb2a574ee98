"""One process at a time changes the runner's own files: each reads all of it, and writes all of it.

Two `relevo` at once would otherwise undo each other's writes, and a signing key with them.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blocks.errors import Refused

WAIT_SECONDS = 30
POLL_SECONDS = 0.05


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else change the files in a folder; who dies lets go.

    :raises OSError: where there is no such folder.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _take(held, folder)
        yield
    finally:
        os.close(held)


def _take(held: int, folder: Path) -> None:
    """Wait for whoever writes there, who takes milliseconds; one that is suspended takes longer."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise Refused(
                f"another relevo has been writing in {folder} for {WAIT_SECONDS} s",
                hint=f"see which one it is (fuser -v {folder}), end it, then run this again",
            )
        time.sleep(POLL_SECONDS)
