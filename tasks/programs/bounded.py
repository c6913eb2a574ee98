"""What others say, read within bounds: so many bytes, within so many seconds, and no more.

The only place where these programs read what they did not write themselves. What exceeds a bound
is an OSError, with a sentence that says which.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import subprocess
import time
from dataclasses import dataclass
from typing import Iterator, Mapping, Sequence  # Python 3.8

CHUNK = 1 << 16
FEW = 1 << 16  # bytes of a sentence, a number, a small record


class TooMuch(OSError):
    """Somebody says more than anybody honest would."""


class TooLong(OSError):
    """Somebody takes longer than is waited for."""


def read_file(path: str | os.PathLike[str], limit: int = FEW) -> bytes:
    """Read a regular file that somebody else may have made: no link, no pipe, no endless one."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
        said = bytearray()
        while part := os.read(file, CHUNK):
            said += part
            if len(said) > limit:
                raise TooMuch(errno.EFBIG, f"it is longer than {limit} bytes", os.fspath(path))
        return bytes(said)
    finally:
        os.close(file)


def read_text(path: str | os.PathLike[str], limit: int = FEW) -> str:
    return read_file(path, limit).decode("utf-8", "replace")


def parts(descriptor: int, seconds: float) -> Iterator[bytes]:
    """Give what comes out of a pipe until it ends; all of it has to come within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TooLong(errno.ETIMEDOUT, f"it has not finished after {seconds:g} s")
        part = os.read(descriptor, CHUNK)
        if not part:
            return
        yield part


def lines(descriptor: int, *, limit: int, seconds: float, count: int) -> Iterator[bytes]:
    """Give the lines that come out of a pipe: so long, each within so many seconds, so many."""
    waiting, given, deadline = bytearray(), 0, time.monotonic() + seconds
    while True:
        while (end := waiting.find(b"\n")) >= 0:
            if (given := given + 1) > count:
                raise TooMuch(errno.EFBIG, f"more than {count} lines")
            yield bytes(waiting[: end + 1])
            del waiting[: end + 1]
            deadline = time.monotonic() + seconds
        if len(waiting) > limit:
            raise TooMuch(errno.EFBIG, f"a line of more than {limit} bytes")
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TooLong(errno.ETIMEDOUT, f"no whole line for {seconds:g} s")
        part = os.read(descriptor, min(CHUNK, limit))
        if not part:
            return
        waiting += part


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace")

    @property
    def said(self) -> str:
        return (self.err or self.out).decode("utf-8", "replace").strip()


def run(
    argv: Sequence[str],
    *,
    seconds: float,
    limit: int = FEW,
    stdin: bytes = b"",
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> Ran:
    """Run a command; end it when it says too much or takes too long."""
    with subprocess.Popen(
        list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        pass_fds=pass_fds, env=env,
    ) as talk:  # fmt: skip
        try:
            out, err = _converse(talk, stdin, seconds, limit)
            return Ran(talk.wait(max(seconds, 1)), out, err)
        except subprocess.TimeoutExpired as error:
            raise TooLong(
                errno.ETIMEDOUT, f"{argv[0]} has not finished after {seconds:g} s"
            ) from error
        except TooMuch as error:
            raise TooMuch(errno.EFBIG, f"{argv[0]} printed more than {limit} bytes") from error
        except TooLong as error:
            raise TooLong(
                errno.ETIMEDOUT, f"{argv[0]} has not finished after {seconds:g} s"
            ) from error
        finally:
            talk.kill()


def _converse(
    talk: subprocess.Popen[bytes], stdin: bytes, seconds: float, limit: int
) -> tuple[bytes, bytes]:
    """Feed a command, and read both of its pipes to their ends."""
    assert talk.stdin is not None, "it was asked for"
    assert talk.stdout is not None, "it was asked for"
    assert talk.stderr is not None, "it was asked for"
    deadline, left = time.monotonic() + seconds, memoryview(stdin)
    said = {talk.stdout.fileno(): bytearray(), talk.stderr.fileno(): bytearray()}
    open_ones, feed = list(said), talk.stdin.fileno()
    os.set_blocking(feed, False)
    while open_ones:
        if not left:
            talk.stdin.close()
        wait = deadline - time.monotonic()
        ready, able, _ = select.select(open_ones, [feed] if left else [], [], max(wait, 0))
        if wait <= 0 or not (ready or able):
            raise TooLong
        if able:
            try:
                left = left[os.write(feed, left[:CHUNK]) :]
            except BrokenPipeError:  # it may end without reading; its status tells
                left = left[:0]
        for each in ready:
            part = os.read(each, CHUNK)
            said[each] += part
            if not part:
                open_ones.remove(each)
        if sum(map(len, said.values())) > limit:
            raise TooMuch
    with contextlib.suppress(OSError):
        talk.stdin.close()
    return bytes(said[talk.stdout.fileno()]), bytes(said[talk.stderr.fileno()])
