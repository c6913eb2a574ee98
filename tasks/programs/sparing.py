#!/usr/bin/python3
"""Run a command that writes what somebody else says; end it before it takes the last of a disk.

Written by Relevo; python3.8 and the standard library are all that it needs.

    sparing FOLDER... -- COMMAND...     ends as the command does, or with 28

All instances share a disk, and their clusters stop where it is full. What was full before is no
reason to end what takes next to nothing. What the command prints goes to a file, which may not
grow without end either.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys

FULL = 28  # as the kernel numbers a disk without room; no status of rsync's
KEPT_BYTES, KEPT_SHARE = 1 << 30, 0.05  # of the disk, what is left free in any case
NEXT_TO_NOTHING = 16 << 20
SAID_BYTES = 64 << 20
LOOK_SECONDS = 0.05
GOODBYE_SECONDS = 10


def free(folder: str) -> int | None:
    """Bytes that are free below what is kept; none where there is no such folder."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    kept = min(KEPT_BYTES, int(disk.f_blocks * disk.f_frsize * KEPT_SHARE))
    return disk.f_bavail * disk.f_frsize - kept


def said() -> int:
    """How long the file is that takes what is printed; a pipe is read by somebody."""
    facts = os.fstat(1)
    return facts.st_size if stat.S_ISREG(facts.st_mode) else 0


def why(before: dict[str, int], begun: int) -> str:
    """Why the command has to end; nothing as long as it need not."""
    for folder, first in before.items():
        left = free(folder)
        if left is not None and left < 0 and first - left > NEXT_TO_NOTHING:
            return f"the disk of {folder} is full, but for what is left to the clusters"
    if said() - begun > SAID_BYTES:
        return f"it has printed more than {SAID_BYTES >> 20} MB"
    return ""


def run(folders: list[str], argv: list[str]) -> int:
    found = {folder: free(folder) for folder in folders}
    before = {folder: left for folder, left in found.items() if left is not None}
    begun = said()
    with subprocess.Popen(argv) as command:
        signal.signal(signal.SIGTERM, lambda *_: command.terminate())
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = command.wait(LOOK_SECONDS)
                return status if status >= 0 else 128 - status
            if reason := why(before, begun):
                end(command)
                print(f"relevo: {argv[0]} was ended: {reason}", file=sys.stderr, flush=True)
                return FULL


def end(command: subprocess.Popen[bytes]) -> None:
    """Let it clear away what it has not finished."""
    command.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(GOODBYE_SECONDS)
        return
    command.kill()


def main(words: list[str]) -> int:
    at = words.index("--")
    return run(words[:at], words[at + 1 :])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
