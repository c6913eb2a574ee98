"""A way from here to PostgreSQL's sockets on a host, over the connection that is open anyway.

One program there (relay_program.py) carries all sessions of one system user. Here each session has
a socket in a private folder, which is gone as soon as somebody has come in: psycopg's.
"""

import contextlib
import itertools
import select
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Protocol

from blocks.lease import boot_seconds, my_turn
from blocks.meter import Meter, TooMuch
from blocks.turn import Turn

PROGRAM = Path(__file__).with_name("relay_program.py").read_text()
HEAD = struct.Struct(">cHI")
CHUNK = 1 << 15
PORT = 5432  # of no meaning but in the name of a socket
BEAT_SECONDS = 4
# Shorter than a lease: who takes an instance over finds no session left of a suspended runner.
SILENCE_SECONDS = 20
REST_SECONDS = 60
BEGIN_SECONDS = 30
MOST_AT_ONCE = 4
ROOM_SECONDS, POLL_SECONDS = 30, 0.02


class Pipe(Protocol):
    """The standard input and output of a command: paramiko's channel, or a socket."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> object: ...
    def fileno(self) -> int: ...
    def close(self) -> object: ...


class Pipes(Protocol):
    """A host on which commands can be started that stay."""

    host: str

    @property
    def key(self) -> Hashable:
        """What is the same for two shells that share their connection."""

    def pipe(self, argv: Sequence[str], *, user: str) -> Pipe:
        """Start a command whose input and output are ours until it is closed."""

    def why_ended(self, pipe: Pipe, argv: Sequence[str]) -> Exception:
        """Say why such a command ended: CommandFailed, or EOFError where the connection broke."""


class Link:
    """One session on its way: what has been sent of it, and why it was cut, if it was."""

    def __init__(self, relay: "Relay", number: int) -> None:
        self.relay, self.number = relay, number
        self.meter, self.sent, self.why = Meter(), 0, ""
        self.over = self.late = self.too_much = False
        self.folder = Path(tempfile.mkdtemp(prefix="relevo-sql-"))
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(str(self.folder / f".s.PGSQL.{PORT}"))
        self.door.listen(1)
        self.door.settimeout(BEGIN_SECONDS)
        self.socket: socket.socket | None = None
        self.lock = threading.Lock()
        threading.Thread(target=self._carry_up, daemon=True).start()

    def _carry_up(self) -> None:
        """Let the one guest in, and carry what it says."""
        try:
            guest = self.door.accept()[0]
            shutil.rmtree(self.folder, ignore_errors=True)
            with self.lock:
                self.socket = guest
            while got := guest.recv(CHUNK):
                with self.lock:  # who finds the session over knows by `sent` what may have run
                    if self.over:
                        break
                    self.sent += len(got)
                self.relay.send(b"d", self.number, got)
        except OSError:
            pass  # whoever waits for an answer hears of it by the end of the session
        finally:
            self.end()
            self.door.close()
            if self.socket is not None:
                self.socket.close()
            self.relay.leave(self)

    def bring(self, content: bytes) -> None:
        """Hand over what PostgreSQL says, up to what an answer may be."""
        if self.over:
            return
        try:
            self.meter.feed(content)
            if self.socket is not None:
                self.socket.sendall(content)
        except TooMuch as error:
            self.too_much = True
            self.end(str(error))
        except OSError:
            self.end()

    def end(self, why: str = "") -> None:
        """Cut the session at both ends, once."""
        with self.lock:
            self.why = self.why or why
            if self.over:
                return
            self.over = True
        shutil.rmtree(self.folder, ignore_errors=True)
        for each in (self.door, self.socket):  # that wakes who carries up, and tells the other end
            with contextlib.suppress(OSError):
                if each is not None:
                    each.shutdown(socket.SHUT_RDWR)


class Relay:
    """The program on a host, and the sessions that it carries."""

    def __init__(self, pipes: Pipes, user: str) -> None:
        self.turn = my_turn()
        self.argv = ("python3", "-I", "-S", "-c", PROGRAM, str(SILENCE_SECONDS))
        self.pipes, self.pipe = pipes, pipes.pipe(self.argv, user=user)
        self.links: dict[int, Link] = {}
        self.numbers = itertools.cycle(range(1, 1 << 16))
        self.sending, self.opening = threading.Lock(), threading.Lock()
        self.begun, self.opened, self.expected = threading.Event(), 0, 0
        self.over, self.used, self.sent = False, boot_seconds(), boot_seconds()
        self.why: Exception = EOFError("the connection was closed")
        threading.Thread(target=self._carry_down, daemon=True).start()

    @property
    def lives(self) -> bool:
        """Tell whether the program is there, as far as can be known without asking it."""
        return not self.over and boot_seconds() - self.sent < SILENCE_SECONDS / 2

    def open(self, where: str) -> Link:
        """Begin a session at a socket's path, or at host:port; raise why the program is gone."""
        self.used = boot_seconds()
        try:
            link = self._link()
        finally:
            self.expect(-1)
        try:
            self.send(b"o", link.number, where.encode())
        except OSError:
            link.end()
            raise
        return link

    def _link(self) -> Link:
        if not self.begun.wait(BEGIN_SECONDS):
            self.close()
            raise TimeoutError(f"it did not begin within {BEGIN_SECONDS} s")
        self.require()
        with self.opening:
            link = Link(self, next(number for number in self.numbers if number not in self.links))
            self.links[link.number] = link
            self.opened += 1
        return link

    def expect(self, more: int) -> None:
        """Count who is about to begin a session: nobody lets go of the relay meanwhile."""
        with self.opening:
            self.expected += more

    def require(self) -> None:
        """Raise why the program has ended, if it has."""
        if self.over:
            raise self.why

    def send(self, kind: bytes, number: int, content: bytes = b"") -> None:
        """Send a frame; never by who carries down, or both ends could wait for each other."""
        with self.sending:
            self.pipe.sendall(HEAD.pack(kind, number, len(content)) + content)
            self.sent = boot_seconds()

    def beat(self) -> None:
        """Say that we live, unless somebody is saying something anyway."""
        if self.sending.acquire(blocking=False):
            try:
                self.pipe.sendall(HEAD.pack(b"h", 0, 0))
                self.sent = boot_seconds()
            finally:
                self.sending.release()

    def leave(self, link: Link) -> None:
        """Forget a session, and have the other end forget it."""
        if self.links.pop(link.number, None) and not self.over:
            with contextlib.suppress(OSError):
                self.send(b"c", link.number)

    def close(self) -> None:
        self.over = True
        self.begun.set()
        self.pipe.close()
        for link in list(self.links.values()):
            link.end()

    def _carry_down(self) -> None:
        """Hand out what comes; say now and then that we live; rest when nobody has asked."""
        waiting = bytearray()
        try:
            while not self.over:
                ready = select.select([self.pipe], [], [], BEAT_SECONDS)[0]
                if ready:
                    if not (got := self.pipe.recv(CHUNK)):
                        self.why = self.pipes.why_ended(self.pipe, ("python3", "(relay)"))
                        break
                    waiting += got
                    self._hand_out(waiting)
                if boot_seconds() - self.sent > BEAT_SECONDS:
                    if boot_seconds() - self.used > REST_SECONDS and not self.busy:
                        break
                    self.beat()
        except (OSError, ValueError):
            pass
        finally:
            self.close()

    @property
    def busy(self) -> bool:
        return self.expected > 0 or any(link.meter.open for link in list(self.links.values()))

    def _hand_out(self, waiting: bytearray) -> None:
        while len(waiting) >= HEAD.size:
            kind, number, size = HEAD.unpack_from(waiting)
            if size > 2 * CHUNK:
                raise ValueError("it sent an unknown frame")
            if len(waiting) < HEAD.size + size:
                return
            content = bytes(waiting[HEAD.size : HEAD.size + size])
            del waiting[: HEAD.size + size]
            self.begun.set()
            if link := self.links.get(number):
                if kind == b"d":
                    link.bring(content)
                else:
                    link.end(content.decode(errors="replace"))


_relays: dict[tuple[Hashable, str, Turn | None], Relay] = {}
_dialling: dict[Hashable, threading.Lock] = {}


def reach(pipes: Pipes, user: str) -> Relay:
    """The relay of a system user on a host in this run's turn, started if there is none.

    Whoever asks for it opens one session on it.
    """
    with _dialling.setdefault(pipes.key, threading.Lock()):
        key = (pipes.key, user, my_turn())
        relay = _relays.get(key)
        if relay is None or not relay.lives:
            if relay is not None:
                relay.close()
            _make_room(pipes.key)
            relay = _relays[key] = Relay(pipes, user)
        relay.expect(+1)
        return relay


def leave(over: Turn) -> None:
    """Let go of the relays of a turn."""
    for key in [each for each in list(_relays) if each[2] == over]:
        if relay := _relays.pop(key, None):
            relay.close()


def _make_room(host: Hashable) -> None:
    """Let go of a relay that nobody uses: sshd bears few channels on one connection.

    Where all are in use, wait for one a while.
    """
    deadline = time.monotonic() + ROOM_SECONDS
    while True:
        ours = [(key, each) for key, each in list(_relays.items()) if key[0] == host and each.lives]
        if len(ours) < MOST_AT_ONCE or time.monotonic() > deadline:
            return
        resting = [(key, each) for key, each in ours if not each.busy]
        for key, each in sorted(resting, key=lambda pair: pair[1].used)[:1]:
            each.close()
            _relays.pop(key, None)
        if not resting:
            time.sleep(POLL_SECONDS)
