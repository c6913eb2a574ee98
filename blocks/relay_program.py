"""Join one pipe to sockets of PostgreSQL: runs on the host, as a user whom PostgreSQL lets in.

Python 3.8, the standard library. Frames go both ways: a kind, the number of a session, a length,
and as many bytes.

    h  heartbeat           o  open a session at a path, or at host:port
    d  bytes of a session  c  a session has ended, and why if it never began

Who has heard nothing for some seconds ends, and its sessions with it: a runner that was suspended
finds nobody who would still execute what it says. Told to end (SIGTERM, by a run whose turn is
higher), it takes nothing more, and ends when PostgreSQL has ended what it was told before.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
import time

HEAD = struct.Struct(">cHI")
CHUNK = 1 << 16
CONNECT_SECONDS = 10


def now() -> float:
    """Count the time of a host that was suspended, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say(kind: bytes, number: int, content: bytes = b"") -> None:
    left = memoryview(HEAD.pack(kind, number, len(content)) + content)
    while left:
        left = left[os.write(1, left) :]


def dial(where: str) -> socket.socket:
    if where.startswith("/"):
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(CONNECT_SECONDS)
        link.connect(where)
    else:
        host, _, port = where.rpartition(":")
        link = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.settimeout(None)
    return link


def obey(links: dict[int, socket.socket], kind: bytes, number: int, content: bytes) -> None:
    """Do what one frame says."""
    try:
        if kind == b"o":
            links[number] = dial(content.decode())
        elif kind == b"d" and number in links:
            links[number].sendall(content)
        elif kind == b"c" and number in links:
            links.pop(number).close()
    except OSError as error:
        if number in links:
            links.pop(number).close()
        say(b"c", number, str(error.strerror or error).encode())


def bring(links: dict[int, socket.socket], number: int) -> None:
    """Pass on what PostgreSQL says in one session."""
    try:
        content = links[number].recv(CHUNK)
    except OSError:
        content = b""
    if content:
        say(b"d", number, content)
    else:
        links.pop(number).close()
        say(b"c", number)


class Told(Exception):
    """A newer run wants its turn."""


def end(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise Told


def finish(links: dict[int, socket.socket]) -> None:
    """Say no more, and wait until PostgreSQL has nothing to do for us."""
    for link in links.values():
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_WR)
    for link in links.values():
        with contextlib.suppress(OSError):
            while link.recv(CHUNK):
                pass


def main(silence: float) -> None:
    links: dict[int, socket.socket] = {}
    signal.signal(signal.SIGTERM, end)
    try:
        carry(links, silence)
    except Told:
        finish(links)


def carry(links: dict[int, socket.socket], silence: float) -> None:
    waiting, heard = bytearray(), now()
    say(b"h", 0)
    while True:
        of = {link.fileno(): number for number, link in links.items()}
        ready = select.select([0, *of], [], [], 1)[0]
        if now() - heard > silence:
            return
        for each in ready:
            if each and of[each] in links:
                bring(links, of[each])
        if 0 not in ready:
            continue
        got = os.read(0, CHUNK)
        if not got:
            return
        heard = now()
        waiting += got
        while len(waiting) >= HEAD.size:
            kind, number, size = HEAD.unpack_from(waiting)
            if len(waiting) < HEAD.size + size:
                break
            content = bytes(waiting[HEAD.size : HEAD.size + size])
            del waiting[: HEAD.size + size]
            obey(links, kind, number, content)


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # whoever asked has gone
        main(float(sys.argv[1]))
