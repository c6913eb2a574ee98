"""The origin's files, over one ssh that stays up: names go out, contents come back.

Requests run ahead of their answers, so that a batch costs one round trip however many files are
in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import struct
import subprocess
import threading
import zlib
from collections import deque
from typing import IO, Callable, Iterable, Iterator, Sequence  # Python 3.8

from .trouble import OriginAway, Trouble

ANSWER = struct.Struct(">cQ")
OK, ABSENT = b"+", b"0"
AHEAD = 256
PIPE = 1 << 20
F_SETPIPE_SZ = 1031
SILENCE_SECONDS = 60.0
CHUNK = 1 << 20


class Silence(Exception):
    """The far end says nothing, and the connection does not break."""


class Patient(io.RawIOBase):
    """A pipe that is not waited for for ever."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        ready, _, _ = select.select([self.descriptor], [], [], SILENCE_SECONDS)
        if not ready:
            raise Silence(f"no answer for {SILENCE_SECONDS:.0f} s")
        return os.readv(self.descriptor, [buffer])  # type: ignore[list-item]  # a memoryview


class Answer:
    """One answer: its kind, its length, and its content, which is read once."""

    def __init__(self, kind: bytes, size: int, stream: IO[bytes]) -> None:
        self.kind, self.size, self.stream = kind, size, stream
        self.left = size

    def parts(self, buffer: memoryview) -> Iterator[memoryview]:
        """Read the content into a buffer that is used again and again."""
        while self.left:
            got = self.stream.readinto(buffer[: min(self.left, len(buffer))])  # type: ignore[attr-defined]
            if not got:
                raise EOFError("the connection ended in the middle of a file")
            self.left -= got
            yield buffer[:got]

    def text(self) -> bytes:
        said = self.stream.read(self.left)
        if len(said) < self.left:
            raise EOFError("the connection ended in the middle of an answer")
        self.left = 0
        return said


class Origin:
    """The far end. One conversation at a time; each opens the connection if there is none."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        self.command, self.name = list(command), name
        self.lock = threading.RLock()
        self.process: subprocess.Popen[bytes] | None = None
        self.out: IO[bytes] | None = None

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
            said = answer.text().decode()
            sums[path] = said if answer.kind == OK else ""

        self._converse(((f"sum {path}\n", path, "") for path in paths), receive)
        return sums

    def list(self, database: str) -> dict[str, int] | None:
        """Ask for the names and sizes of a database's files; none if it has no folder."""
        found: list[dict[str, int] | None] = []

        def receive(path: str, answer: Answer) -> None:
            said = answer.text()
            if answer.kind == ABSENT:
                found.append(None)
                return
            self._require_ok(answer, said, path)
            lines = zlib.decompress(said).decode().splitlines()
            found.append({name: int(size) for name, _, size in map(_cut, lines)})

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
        self._tell([("flush\n", "flush", "")])

    def _tell(self, requests: Iterable[tuple[str, str, str]]) -> dict[str, str]:
        refused: dict[str, str] = {}

        def receive(path: str, answer: Answer) -> None:
            said = answer.text()
            if answer.kind not in (OK, ABSENT):
                refused[path] = said.decode("utf-8", "replace")

        self._converse(requests, receive)
        return refused

    def _require_ok(self, answer: Answer, said: bytes, path: str) -> None:
        if answer.kind != OK:
            why = said.decode("utf-8", "replace")
            raise Trouble(f"{self.name} refused {path}: {why}", "read its filestore by hand")

    def _converse(
        self, requests: Iterable[tuple[str, str, str]], receive: Callable[[str, Answer], None]
    ) -> None:
        """Send requests (a line, what it is about, a file that follows), some ahead of answers."""
        with self.lock:
            try:
                inward, outward = self._open()
                waiting: deque[str] = deque()
                for line, about, body in requests:
                    inward.write(line.encode())
                    _send(body, inward)
                    waiting.append(about)
                    if len(waiting) >= AHEAD:
                        inward.flush()
                        while len(waiting) > AHEAD // 2:
                            receive(waiting.popleft(), self._answer(outward))
                inward.flush()
                while waiting:
                    receive(waiting.popleft(), self._answer(outward))
            except (EOFError, BrokenPipeError, ConnectionError, Silence) as error:
                raise self._away(str(error)) from error
            except BaseException:
                self.close()  # what was asked for is still under way
                raise

    @staticmethod
    def _answer(stream: IO[bytes]) -> Answer:
        head = stream.read(ANSWER.size)
        if len(head) < ANSWER.size:
            raise EOFError("the connection has ended")
        kind, size = ANSWER.unpack(head)
        return Answer(kind, size, stream)

    def _open(self) -> tuple[IO[bytes], IO[bytes]]:
        if self.process is None or self.process.poll() is not None:
            self.close()
            self.process = subprocess.Popen(  # the settings' own command
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )  # fmt: skip
            assert self.process.stdout is not None
            descriptor = self.process.stdout.fileno()
            with contextlib.suppress(OSError):  # a user's share of big pipes may be used up
                fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE)
            self.out = io.BufferedReader(Patient(descriptor), PIPE)
        assert self.process.stdin is not None
        assert self.out is not None
        return self.process.stdin, self.out

    def _away(self, why: str) -> Trouble:
        """Say in ssh's or the gate's own words why there is no answer."""
        said = ""
        if self.process is not None and self.process.stderr is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)
            self.process.kill()
            said = self.process.stderr.read().decode("utf-8", "replace").strip()
        self.close()
        last = said.splitlines()[-1] if said else why
        if "relevo: refused" in said:
            return Trouble(f"{self.name} refused: {last}", "run configure-ssh for this instance")
        return OriginAway(
            f"{self.name} does not answer: {last}", "see that it is up and reachable by ssh"
        )

    def close(self) -> None:
        process, self.process, self.out = self.process, None, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unsent requests of a dead connection
                    pipe.close()


def _send(path: str, inward: IO[bytes]) -> None:
    """Send a file after its request, as long as was announced."""
    if path:
        with open(path, "rb") as file:
            while part := file.read(CHUNK):
                inward.write(part)


def _cut(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


def wait_before(tries: int) -> float:
    """Seconds to wait for an origin that is away: 1, 2, 4, at most 30.

    >>> [wait_before(tries) for tries in (1, 2, 3, 9)]
    [1.0, 2.0, 4.0, 30.0]
    """
    return min(30.0, 2.0 ** min(tries - 1, 5))
