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
import os
import subprocess
import threading
import time
import zlib
from collections import deque
from itertools import chain
from typing import IO, Callable, Iterable, Sequence  # Python 3.8

from .answer import ABSENT, ANSWER, LIST_BYTES, NO, OK, Answer, sizes
from .line import Line
from .pipes import CHUNK, Inward, Outward, Patience, Silence, last_words
from .trouble import OriginAway, OriginStrange, Trouble

AHEAD = 256
PIPE = 1 << 20
F_SETPIPE_SZ = 1031
FLUSH = "flush"
GOODBYE_SECONDS = 5
READ_BY_HAND = "read its filestore by hand"


class Origin:
    """The far end. One conversation at a time; each opens the connection if there is none."""

    def __init__(self, command: Sequence[str], name: str, line: Line | None = None) -> None:
        self.command, self.name, self.line = list(command), name, line or Line()
        self.lock = threading.RLock()
        self.process: subprocess.Popen[bytes] | None = None
        self.ends: tuple[Outward, IO[bytes], Patience] | None = None

    def twin(self) -> Origin:
        """Give another connection to the same end."""
        return Origin(self.command, self.name, self.line)

    def get(self, paths: Iterable[str], receive: Callable[[str, Answer], None]) -> None:
        """Ask for files; `receive` gets each answer, in order."""
        came, begun = 0, time.monotonic()

        def taken(path: str, answer: Answer) -> None:
            nonlocal came
            came += answer.size
            receive(path, answer)

        with self.lock:
            self._converse(((f"get {path}\n", path, "") for path in paths), taken)
            if self.line.saw(came, time.monotonic() - begun):
                self.close()

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
                found.append(dict(sizes(answer)))
            except (zlib.error, ValueError) as error:
                raise OriginStrange(
                    f"{self.name} gives no list of {path} that can be read: {error}", READ_BY_HAND
                ) from error

        self._converse([(f"list {database}\n", database, "")], receive)
        return found[0]

    def put(self, files: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Give the origin files (name there, path here), and wait until they are on its disk.

        Say which it refused, and why. The wait is a part of the same conversation: a gate that has
        died has lost what it had taken, and the next one would know nothing of that.
        """
        requests = ((f"put {path} {os.stat(here).st_size}\n", path, here) for path, here in files)
        refused = self._tell(chain(requests, [("flush\n", FLUSH, "")]))
        if why := refused.pop(FLUSH, None):
            raise Trouble(
                f"what was given to {self.name} is not on its disk: {why}",
                "fix what it names there, then run this again",
            )
        return refused

    def aside(self, paths: Iterable[str]) -> dict[str, str]:
        """Move files of the origin to its quarantine."""
        return self._tell((f"aside {path}\n", path, "") for path in paths)

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
                self.line.command(self.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
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
            said = last_words(self.process.stderr.fileno(), GOODBYE_SECONDS)
        self.close()
        last = said.splitlines()[-1][-500:] if said else why
        if "relevo: refused" in said:
            return OriginStrange(
                f"{self.name} refused: {last}", "run configure-ssh for this instance"
            )
        return OriginAway(
            f"{self.name} does not answer: {last}", "check that it is up and reachable by ssh"
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


def wait_before(tries: int) -> float:
    """Seconds to wait for an origin that is away: 1, 2, 4, at most 30.

    >>> [wait_before(tries) for tries in (1, 2, 3, 9)]
    [1.0, 2.0, 4.0, 30.0]
    """
    return min(30.0, 2.0 ** min(tries - 1, 5))
