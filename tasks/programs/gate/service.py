"""The conversation with one client: requests are lines, answers have a length."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import time
from typing import Iterator  # Python 3.8

from .disk import CHUNK
from .files import STAGE, Files

ANSWER = struct.Struct(">cQ")
OK, ABSENT, NO = b"+", b"0", b"!"
LINE_BYTES = 4096  # of a request
FILE_BYTES = 1 << 31  # of a document: Odoo keeps its size in four bytes


class Senseless(Exception):
    """What is asked is no request, and no answer would help: hang up."""


class Requests:
    """What the client asks, with a signal when it has said all that it will say for now."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waiting = bytearray()

    def line(self, on_idle: object) -> str | None:
        while (end := self.waiting.find(b"\n", 0, LINE_BYTES)) < 0:
            if len(self.waiting) >= LINE_BYTES:
                raise Senseless(f"a request of more than {LINE_BYTES} bytes")
            if callable(on_idle):
                on_idle()
            if not self._more():
                return None
        said = bytes(self.waiting[:end])
        del self.waiting[: end + 1]
        return said.decode("utf-8", "replace")

    def take(self, size: int) -> Iterator[bytes]:
        """Read this many bytes that follow a line."""
        while size:
            if not self.waiting and not self._more():
                raise EOFError
            part = bytes(self.waiting[:size])
            del self.waiting[: len(part)]
            size -= len(part)
            yield part

    def _more(self) -> bool:
        got = os.read(self.descriptor, CHUNK)
        self.waiting += got
        return bool(got)


class Service:
    """Answer one client until it hangs up."""

    def __init__(self, files: Files, requests: Requests, out: int) -> None:
        self.files, self.requests = files, requests
        self.out = open(out, "wb", buffering=CHUNK, closefd=False)  # noqa: SIM115

    def run(self) -> None:
        try:
            while (line := self.requests.line(self.out.flush)) is not None:
                self.serve(line)
        except Senseless as error:
            self.say(NO, str(error).encode())
            self.out.flush()
        except EOFError:
            pass  # it hung up in the middle of a file
        self.files.settle()
        with contextlib.suppress(OSError):  # it was never made, or another client uses it
            os.rmdir(STAGE, dir_fd=self.files.root)

    def serve(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        try:
            self.answer(verb, rest)
        except (FileNotFoundError, NotADirectoryError):
            self.say(ABSENT, repr(time.time()).encode())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else ""
            self.say(NO, (why or str(error)).encode())

    def answer(self, verb: str, rest: str) -> None:
        if verb != "put":
            self.files.settle()
        if verb == "get":
            self.send(self.files.open(rest))
        elif verb == "sum":
            self.say(OK, self.files.sum(rest).encode())
        elif verb == "list":
            self.say(OK, self.files.list(rest))
        elif verb == "put":
            name, _, size = rest.rpartition(" ")
            self.put(name, size)
        elif verb == "aside":
            self.files.aside(rest)
            self.say(OK)
        elif verb == "flush":
            os.sync()
            self.say(OK)
        else:
            raise PermissionError("this key knows no such request")

    def say(self, kind: bytes, text: bytes = b"") -> None:
        self.out.write(ANSWER.pack(kind, len(text)) + text)

    def send(self, file: int) -> None:
        """Send a file as long as it was when it was opened, whatever happens to it meanwhile."""
        with open(file, "rb", buffering=0) as content:
            left = os.fstat(file).st_size
            self.out.write(ANSWER.pack(OK, left))
            while left:
                part = content.read(min(left, CHUNK))
                if not part:  # it was cut short meanwhile: the sum will tell
                    part = bytes(min(left, CHUNK))
                self.out.write(part)
                left -= len(part)

    def put(self, name: str, size: str) -> None:
        """Read the whole of what was announced, also when it is refused."""
        if not re.match(r"^[0-9]{1,10}\Z", size) or int(size) > FILE_BYTES:
            raise Senseless(f"a file of more than {FILE_BYTES >> 20} MB, or of no size")
        content = self.requests.take(int(size))
        try:
            self.files.put(name, int(size), content)
        finally:
            for _ in content:
                pass
        self.say(OK)
