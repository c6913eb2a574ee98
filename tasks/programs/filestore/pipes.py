"""Pipes whose other end may be in somebody else's hands: nothing on them is waited for for ever."""

from __future__ import annotations

import contextlib
import io
import os
import select
import time

from ..bounded import FEW, parts

SILENCE_SECONDS = 60.0
SLOWEST = 8192  # bytes a second: what is slower is as good as away
CHUNK = 1 << 20


class Silence(Exception):
    """The far end says nothing, or next to nothing, and the connection does not break."""


class Patience:
    """How long the far end may keep us waiting, in all; what it moves on buys it more time.

    The time that we take ourselves is not the far end's.
    """

    def __init__(self) -> None:
        self.left = SILENCE_SECONDS

    def refresh(self) -> None:
        self.left = SILENCE_SECONDS

    def wait(self, reading: list[int], writing: list[int]) -> None:
        begun = time.monotonic()
        ready = select.select(reading, writing, [], max(self.left, 0))
        self.left -= time.monotonic() - begun
        if self.left <= 0 or not (ready[0] or ready[1]):
            raise Silence(f"no answer for {SILENCE_SECONDS:.0f} s, or a very slow one")

    def moved(self, size: int) -> int:
        self.left = min(self.left + size / SLOWEST, SILENCE_SECONDS)
        return size


class Inward(io.RawIOBase):
    """What comes out of a pipe that is not waited for for ever."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor, self.patience = descriptor, Patience()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        self.patience.wait([self.descriptor], [])
        return self.patience.moved(os.readv(self.descriptor, [buffer]))  # type: ignore[list-item]  # a memoryview


class Outward:
    """What goes into a pipe whose reader may stop to read."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.patience = descriptor, Patience()
        self.waiting = bytearray()
        os.set_blocking(descriptor, False)

    def write(self, said: bytes) -> None:
        self.waiting += said
        if len(self.waiting) >= CHUNK:
            self.flush()

    def flush(self) -> None:
        while self.waiting:
            self.patience.wait([], [self.descriptor])
            with memoryview(self.waiting) as view:
                sent = os.write(self.descriptor, view[:CHUNK])
            del self.waiting[: self.patience.moved(sent)]


def last_words(descriptor: int, seconds: float) -> str:
    """What was said to the pipe of complaints, as far as it is there and as much as is read."""
    said = b""
    with contextlib.suppress(OSError):  # somebody holds it open, and says no more
        for part in parts(descriptor, seconds):
            said += part
            if len(said) > FEW:
                break
    return said.decode("utf-8", "replace").strip()
