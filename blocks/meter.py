"""What PostgreSQL says in a session, counted: a peer may say as much as an answer needs."""

import struct

MOST_BYTES = 64 << 20
MOST_MESSAGES = 1_000_000
WHILE_RESTING = 1 << 16
COMPLAINT_BYTES = 1 << 14
HEAD = struct.Struct(">cI")


class TooMuch(Exception):
    """More than an answer may be."""


class Meter:
    """Counts the messages of one session, and keeps the last complaint."""

    def __init__(self) -> None:
        self.open = True  # until the session has begun, and while a question is
        self.complaint: dict[str, str] = {}
        self.head, self.kept = bytearray(), bytearray()
        self.bytes = self.messages = self.left = 0
        self.keeping = False

    def begin(self) -> None:
        """Count anew: a question is asked."""
        self.bytes = self.messages = 0
        self.open, self.complaint = True, {}

    def end(self) -> None:
        """Let nothing more come than what PostgreSQL says by itself."""
        self.bytes = self.messages = 0
        self.open = False

    def feed(self, said: bytes) -> None:
        """Count on; raise TooMuch."""
        self.bytes += len(said)
        if self.bytes > (MOST_BYTES if self.open else WHILE_RESTING):
            raise TooMuch(f"more than {MOST_BYTES >> 20} MB")
        at = 0
        while at < len(said):
            at += self._inside(said, at) if self.left else self._between(said, at)

    def _between(self, said: bytes, at: int) -> int:
        part = said[at : at + HEAD.size - len(self.head)]
        self.head += part
        if len(self.head) == HEAD.size:
            kind, size = HEAD.unpack(self.head)
            self.head.clear()
            self.left = size - 4
            self.messages += 1
            if self.messages > MOST_MESSAGES:
                raise TooMuch(f"more than {MOST_MESSAGES} rows")
            if not 0 <= self.left <= MOST_BYTES:
                raise TooMuch(f"more than {MOST_BYTES >> 20} MB")
            self.keeping = kind == b"E" and self.left < COMPLAINT_BYTES
        return len(part)

    def _inside(self, said: bytes, at: int) -> int:
        size = min(self.left, len(said) - at)
        self.left -= size
        if self.keeping:
            self.kept += said[at : at + size]
            if not self.left:
                self.complaint = fields(bytes(self.kept))
                self.kept.clear()
        return size


def fields(said: bytes) -> dict[str, str]:
    r"""Take a complaint apart.

    >>> fields(b"SERROR\0C40001\0Mconflict\0\0")
    {'S': 'ERROR', 'C': '40001', 'M': 'conflict'}
    """
    parts = said.decode("utf-8", "replace").split("\0")
    return {part[0]: part[1:] for part in parts if part}
