"""What the origin answers: a sentence, a list and a file, each of a largest size."""

from __future__ import annotations

import math
import re
import struct
import zlib
from typing import IO, Iterator  # Python 3.8

from .pipes import CHUNK
from .trouble import OriginStrange

ANSWER = struct.Struct(">cQ")
OK, ABSENT, NO = b"+", b"0", b"!"
FILE_BYTES = 1 << 31  # of a document: Odoo keeps its size in four bytes
TEXT_BYTES = 4096  # of a sentence, a sum, a time
LIST_BYTES, NAMES = 256 << 20, 5_000_000  # of one database's list, compressed; and of its files
LISTED = re.compile(rb"([0-9a-f]{2,3}/[0-9a-f]{40}) ([0-9]{1,18})\Z")


class Oversize(OriginStrange):
    """The origin announces more than anybody honest would, and is not listened to."""


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
                f"find out which program answers at {self.name}: it is not Relevo's gate",
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


def sizes(answer: Answer) -> Iterator[tuple[str, int]]:
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
            raise ValueError("the answer is longer than announced")
    if waiting or not unpacker.eof:
        raise ValueError("it is cut off")


def _listed(line: bytes) -> tuple[str, int]:
    found = LISTED.match(line)
    if not found:
        raise ValueError(f"{line[:100]!r} is not a file with a size")
    return found[1].decode(), int(found[2])
