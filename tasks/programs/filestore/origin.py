"""The origin's files, over one ssh that stays up: names go out, contents come back.

Requests run ahead of their answers, so that a batch costs one round trip however many files are
in it.

The origin may be in somebody else's hands. Whatever it says is bounded: a sentence, a list and a
file each have a largest size, and each has to come within a time that follows from its size. What
exceeds a bound is a trouble of this instance alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import math
import os
import re
import select
import struct
import subprocess
import threading
import time
import zlib
from collections import deque
from typing import IO, Callable, Iterable, Iterator, Sequence  # Python 3.8

from ..bounded import FEW, parts
from .trouble import OriginAway, OriginStrange, Trouble

ANSWER = struct.Struct(">cQ")
OK, ABSENT, NO = b"+", b"0", b"!"
AHEAD = 256
PIPE = 1 << 20
F_SETPIPE_SZ = 1031
SILENCE_SECONDS = 60.0
SLOWEST = 8192  # bytes a second: what is slower is as good as away
CHUNK = 1 << 20
FILE_BYTES = 1 << 31  # of a document: Odoo keeps its size in four bytes
TEXT_BYTES = 4096  # of a sentence, a sum, a time
LIST_BYTES, NAMES = 256 << 20, 5_000_000  # of one database's list, compressed; and of its files
LISTED = re.compile(rb"([0-9a-f]{2,3}/[0-9a-f]{40}) ([0-9]{1,18})\Z")
GOODBYE_SECONDS = 5
READ_BY_HAND = "read its filestore by hand"


class Silence(Exception):
    """The far end says nothing, or next to nothing, and the connection does not break."""


class Oversize(OriginStrange):
    """The origin announces more than anybody honest would, and is not listened to."""


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
            raise Silence(f"no answer for {SILENCE_SECONDS:.0f} s, or next to none")

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


class Answer:
    """One answer: its kind, its length, and its content, which is read once."""

    def __init__(self, kind: bytes, size: int, stream: IO[bytes], *, name: str = "origin") -> None:
        self.kind, self.size, self.stream, self.name = kind, size, stream, name
        self.left = size

    def parts(self, buffer: memoryview) -> Iterator[memoryview]:
        """Read the content into a buffer that is used again and again."""
        while self.left:
            got = self.stream.readinto(buffer[: min(self.left, len(buffer))])  # type: ignore[attr-defined]
            if not got:
                raise EOFError("the connection ended in the middle of a file")
            self.left -= got
            yield buffer[:got]

    def require_size(self, limit: int, what: str) -> None:
        if self.size > limit:
            raise Oversize(
                f"{self.name} announces {self.size} bytes for {what}, and no more than {limit} "
                "are taken",
                f"see what answers at {self.name}: Relevo's gate there never says this",
            )

    def text(self, limit: int = TEXT_BYTES) -> bytes:
        self.require_size(limit, "a short answer")
        said = self.stream.read(self.left)
        if len(said) < self.left:
            raise EOFError("the connection ended in the middle of an answer")
        self.left = 0
        return said

    def sentence(self) -> str:
        return self.text().decode("utf-8", "replace")

    def moment(self) -> float:
        """The time that the origin says."""
        said = self.sentence()
        try:
            at = float(said)
        except ValueError:
            at = math.nan
        if not math.isfinite(at):
            raise OriginStrange(f"{self.name} says {said[:100]!r} where it should say a time")
        return at


class Origin:
    """The far end. One conversation at a time; each opens the connection if there is none."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        self.command, self.name = list(command), name
        self.lock = threading.RLock()
        self.process: subprocess.Popen[bytes] | None = None
        self.ends: tuple[Outward, IO[bytes], Patience] | None = None

    def twin(self) -> Origin:
        """Give another connection to the same end."""
        return Origin(self.command, self.name)

    def get(self, paths: Iterable[str], receive: Callable[[str, Answer], None]) -> None:
        """Ask for files; `receive` gets each answer, in order."""
        self._converse(((f"get {path}\n", path, "") for path in paths), receive)

    def sums(self, paths: Iterable[str]) -> dict[str, str]:
        """Ask for the sha1 of files; what is not there has none."""
        sums: dict[str, str] = {}

        def receive(path: str, answer: Answer) -> None:
            said = answer.sentence()
            sums[path] = said if answer.kind == OK else ""

        self._converse(((f"sum {path}\n", path, "") for path in paths), receive)
        return sums

    def list(self, database: str) -> dict[str, int] | None:
        """Ask for the names and sizes of a database's files; none if it has no folder."""
        found: list[dict[str, int] | None] = []

        def receive(path: str, answer: Answer) -> None:
            if answer.kind != OK:
                said = answer.sentence()
                if answer.kind == NO:
                    raise OriginStrange(f"{self.name} refused {path}: {said}", READ_BY_HAND)
                found.append(None)
                return
            answer.require_size(LIST_BYTES, f"the list of {path}")
            try:
                found.append(dict(_sizes(answer)))
            except (zlib.error, ValueError) as error:
                raise OriginStrange(
                    f"{self.name} gives no list of {path} that can be read: {error}", READ_BY_HAND
                ) from error

        self._converse([(f"list {database}\n", database, "")], receive)
        return found[0]

    def put(self, files: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Give the origin files (name there, path here); say which it refused, and why."""
        requests = ((f"put {path} {os.stat(here).st_size}\n", path, here) for path, here in files)
        return self._tell(requests)

    def aside(self, paths: Iterable[str]) -> dict[str, str]:
        """Move files of the origin to its quarantine."""
        return self._tell((f"aside {path}\n", path, "") for path in paths)

    def flush(self) -> None:
        """Wait until all that was put is on the origin's disk."""
        if refused := self._tell([("flush\n", "flush", "")]):
            raise Trouble(
                f"what was given to {self.name} is not on its disk: {refused['flush']}",
                "mend what it says there, then run this again",
            )

    def _tell(self, requests: Iterable[tuple[str, str, str]]) -> dict[str, str]:
        refused: dict[str, str] = {}

        def receive(path: str, answer: Answer) -> None:
            said = answer.sentence()
            if answer.kind == NO:
                refused[path] = said

        self._converse(requests, receive)
        return refused

    def _converse(
        self, requests: Iterable[tuple[str, str, str]], receive: Callable[[str, Answer], None]
    ) -> None:
        """Send requests (a line, what it is about, a file that follows), some ahead of answers."""
        with self.lock:
            try:
                to, out, patience = self._open()
                to.patience.refresh()
                waiting: deque[str] = deque()
                for line, about, body in requests:
                    to.write(line.encode())
                    _send(body, to)
                    waiting.append(about)
                    if len(waiting) >= AHEAD:
                        to.flush()
                        while len(waiting) > AHEAD // 2:
                            receive(waiting.popleft(), self._answer(out, patience))
                to.flush()
                while waiting:
                    receive(waiting.popleft(), self._answer(out, patience))
            except (EOFError, BrokenPipeError, ConnectionError, Silence) as error:
                raise self._away(str(error)) from error
            except BaseException:
                self.close()  # what was asked for is still under way
                raise

    def _answer(self, stream: IO[bytes], patience: Patience) -> Answer:
        patience.refresh()
        head = stream.read(ANSWER.size)
        if len(head) < ANSWER.size:
            raise EOFError("the connection has ended")
        kind, size = ANSWER.unpack(head)
        if kind not in (OK, ABSENT, NO):
            raise OriginStrange(
                f"{self.name} answers with {head[:40]!r}, which Relevo's gate there never says",
                "run configure-ssh for this instance, and see what a login there prints",
            )
        return Answer(kind, size, stream, name=self.name)

    def _open(self) -> tuple[Outward, IO[bytes], Patience]:
        if self.ends is None or self.process is None or self.process.poll() is not None:
            self.close()
            self.process = subprocess.Popen(  # the settings' own command
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )  # fmt: skip
            assert self.process.stdout is not None
            descriptor = self.process.stdout.fileno()
            with contextlib.suppress(OSError):  # a user's share of big pipes may be used up
                fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE)
            inward = Inward(descriptor)
            assert self.process.stdin is not None
            to = Outward(self.process.stdin.fileno())
            self.ends = to, io.BufferedReader(inward, PIPE), inward.patience
        return self.ends

    def _away(self, why: str) -> Trouble:
        """Say in ssh's or the gate's own words why there is no answer."""
        said = ""
        if self.process is not None and self.process.stderr is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=GOODBYE_SECONDS)
            self.process.kill()
            said = _last_words(self.process.stderr.fileno())
        self.close()
        last = said.splitlines()[-1][-500:] if said else why
        if "relevo: refused" in said:
            return OriginStrange(
                f"{self.name} refused: {last}", "run configure-ssh for this instance"
            )
        return OriginAway(
            f"{self.name} does not answer: {last}", "see that it is up and reachable by ssh"
        )

    def close(self) -> None:
        process, self.process = self.process, None
        self.ends = None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unsent requests of a dead connection
                    pipe.close()


def _send(path: str, to: Outward) -> None:
    """Send a file after its request, as long as was announced."""
    if path:
        with open(path, "rb") as file:
            while part := file.read(CHUNK):
                to.write(part)


def _last_words(descriptor: int) -> str:
    """What was said to the pipe of complaints, as far as it is there and as much as is read."""
    said = b""
    with contextlib.suppress(OSError):  # somebody holds it open, and says no more
        for part in parts(descriptor, GOODBYE_SECONDS):
            said += part
            if len(said) > FEW:
                break
    return said.decode("utf-8", "replace").strip()


def _sizes(answer: Answer) -> Iterator[tuple[str, int]]:
    """Read the list of a database's files, part by part: a small list may unpack to a huge one."""
    unpacker, waiting, names = zlib.decompressobj(), b"", 0
    for packed in answer.parts(memoryview(bytearray(CHUNK))):
        rest, more = bytes(packed), True
        while more:
            unpacked = unpacker.decompress(rest, CHUNK)
            rest = unpacker.unconsumed_tail
            more = bool(rest) or len(unpacked) == CHUNK
            *lines, waiting = (waiting + unpacked).split(b"\n")
            names += len(lines)
            if names > NAMES or len(waiting) > TEXT_BYTES:
                raise ValueError(f"it has more than {NAMES} files, or a line without an end")
            yield from map(_listed, lines)
        if unpacker.unused_data:
            raise ValueError("more follows where it should end")
    if waiting or not unpacker.eof:
        raise ValueError("it is cut off")


def _listed(line: bytes) -> tuple[str, int]:
    found = LISTED.match(line)
    if not found:
        raise ValueError(f"{line[:100]!r} is no file with a size")
    return found[1].decode(), int(found[2])


def wait_before(tries: int) -> float:
    """Seconds to wait for an origin that is away: 1, 2, 4, at most 30.

    >>> [wait_before(tries) for tries in (1, 2, 3, 9)]
    [1.0, 2.0, 4.0, 30.0]
    """
    return min(30.0, 2.0 ** min(tries - 1, 5))
