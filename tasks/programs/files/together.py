"""Several things in one go: commands run beside each other, while files are read or written."""

from __future__ import annotations

import binascii
import os
import select

from .content import MOST_BYTES
from .rights import Refusal

SIGPIPE = 13  # which Python ignores, and a command must not; `signal` takes long to be imported
CHUNK = 1 << 16


def asked(said: bytes) -> list[list[str]]:
    """Read what is asked: a line for each thing, its words in base64."""
    if not said.endswith(b"\n"):
        raise Refusal("the request arrived incomplete", "run this again")
    return [
        [os.fsdecode(binascii.a2b_base64(word)) for word in line.split(b" ")]
        for line in said.splitlines()
    ]


def answer(status: int, out: bytes, err: bytes) -> str:
    """Say in a line how one thing ended, and what it said."""
    words = (binascii.b2a_base64(each, newline=False).decode() for each in (out, err))
    return f"{status} {' '.join(words)}\n"


class Command:
    """A command that has begun, and what it has said so far."""

    def __init__(self, words: list[str]) -> None:
        ends = [os.pipe(), os.pipe()]
        moves = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_DUP2, write, at) for at, (_, write) in enumerate(ends, 1)),
        ]
        self.number = os.posix_spawnp(
            words[0], words, os.environ, file_actions=moves, setsigdef=[SIGPIPE]
        )
        self.said: dict[int, bytearray] = {read: bytearray() for read, _ in ends}
        for _, write in ends:
            os.close(write)

    def end(self) -> str:
        """Say how it ended; one that says too much is cut off, and ends by that."""
        listening = select.poll()
        for each in self.said:
            listening.register(each, select.POLLIN)
        left = len(self.said)
        while left:
            for each, _ in listening.poll():
                got = os.read(each, CHUNK)
                self.said[each] += got
                if not got or len(self.said[each]) > MOST_BYTES:
                    listening.unregister(each)
                    os.close(each)
                    left -= 1
        status = os.waitpid(self.number, 0)[1]
        ended = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        return answer(ended, *(bytes(each) for each in self.said.values()))
