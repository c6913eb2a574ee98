"""A process that has Prefect and Relevo imported, and forks for each run.

To start Python and to import Prefect takes longer than all else between the button and the first
step. This has done both, has one thread, and so may fork; `forked.py` is what the worker starts,
and asks. It ends when the code on the disk is not what it has imported, when its socket is gone,
and after an hour in which nobody asked; the next run starts another.
"""

import contextlib
import fcntl
import gc
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from deployments import forked

IDLE_SECONDS, LOOK_SECONDS, ASK_SECONDS = 3600.0, 2.0, 5.0
MOST_BYTES, SIZE_BYTES, FILES = 4 << 20, 8, 4
# What a run imports when it needs it, and nearly every run does.
ENGINE = (
    "prefect.flow_engine", "prefect.task_engine", "prefect._internal.metrics",
    "prefect.client.orchestration", "prefect.deployments", "prefect.events.clients",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a process is to be: a command line of Python, its environment, folder and files."""

    executable: str
    folder: str
    words: list[str]
    environment: dict[str, str]
    files: list[int]

    @classmethod
    def read(cls, sock: socket.socket) -> "Asked":
        """Read it from a client; raises ValueError, or OSError, for anything else."""
        head, files, _, _ = socket.recv_fds(sock, SIZE_BYTES, FILES)
        size = int.from_bytes(head, "big")
        if len(head) < SIZE_BYTES or size > MOST_BYTES or len(files) != FILES:
            for each in files:
                os.close(each)
            raise ValueError(head)  # which a client of ours never sends
        with sock.makefile("rb") as stream:
            given = os.fsdecode(stream.read(size)).split("\0")
        executable, folder, count, *rest = given
        words, variables = rest[: int(count)], rest[int(count) :]
        return cls(executable, folder, words, dict(v.split("=", 1) for v in variables), files)

    def is_begun(self) -> bool:
        """Wait until the client says so; one that has gone, or has begun by itself, does not."""
        *_, told = self.files
        word = os.read(told, len(forked.BEGIN))
        os.close(told)
        return word == forked.BEGIN

    def become(self) -> None:
        """Be that process, but for what is imported."""
        os.setsid()
        for number, each in enumerate(self.files[:-1]):
            os.dup2(each, number)
            os.close(each)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)

    def run(self) -> None:
        """Run the module that it names, as `python -m` would."""
        from prefect.context import refresh_global_settings_context  # noqa: PLC0415  # as warm
        from prefect.logging.configuration import setup_logging  # noqa: PLC0415  # as warm

        refresh_global_settings_context()
        setup_logging()
        _, module, *words = self.words
        sys.argv[:] = [module, *words]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def warm() -> None:
    """Import what a run would import, and keep the collector from touching it."""
    import flows  # noqa: PLC0415  # with the lock held, and not before

    for name in ENGINE:
        import_module(name)
    for each in pkgutil.iter_modules(flows.__path__, "flows."):
        import_module(each.name)
    gc.collect()
    gc.freeze()


class Code:
    """What was imported, as it was on the disk then."""

    def __init__(self) -> None:
        found = {getattr(each, "__file__", None) for each in [*sys.modules.values()]}
        self.paths = sorted(filter(None, found))
        self.seen = self._look()

    def is_current(self) -> bool:
        return self._look() == self.seen

    def _look(self) -> list[tuple[int, int]]:
        found = []
        for path in self.paths:
            with contextlib.suppress(FileNotFoundError):
                facts = os.stat(path)  # noqa: PTH116  # some thousand of them
                found.append((facts.st_mtime_ns, facts.st_size))
        return found


@dataclass
class Server:
    """It listens, forks, and tells each client how its process ended."""

    path: Path
    lock: int
    code: Code = field(default_factory=Code)
    runs: dict[int, socket.socket] = field(default_factory=dict)  # by pidfd
    clients: dict[socket.socket, tuple[int, int]] = field(default_factory=dict)  # pid and pidfd
    asked_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.path.chmod(0o600)
        self.listener.listen(64)
        self.node = self.path.stat().st_ino
        self.listening = True
        self.waits = selectors.DefaultSelector()
        self.waits.register(self.listener, selectors.EVENT_READ)

    def serve(self) -> Asked | None:
        """Serve until it is over; in a process that was forked, give what that has to be."""
        while self.listening or self.runs:
            for key, _ in self.waits.select(LOOK_SECONDS):
                if key.fileobj is self.listener:
                    if asked := self._accept():
                        return asked
                elif key.fd in self.runs:
                    self._ended(key.fd)
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self.clients:
                    self._left(key.fileobj)
            if self.listening and self._is_over():
                self._retire()
        return None

    def _is_over(self) -> bool:
        if not self.runs and time.monotonic() - self.asked_at > IDLE_SECONDS:
            return True
        try:
            return self.path.stat().st_ino != self.node
        except OSError:
            return True

    def _retire(self) -> None:
        """Make room for another server; what was forked is seen to its end."""
        self.listening = False
        self.waits.unregister(self.listener)
        self.listener.close()
        if self._is_mine():
            self.path.unlink(missing_ok=True)
        os.close(self.lock)

    def _is_mine(self) -> bool:
        try:
            return self.path.stat().st_ino == self.node
        except OSError:
            return False

    def _accept(self) -> Asked | None:
        client, _ = self.listener.accept()
        client.settimeout(ASK_SECONDS)
        try:
            asked = Asked.read(client) if _is_ours(client) else None
        except (OSError, ValueError):
            asked = None
        if asked is None:
            client.close()
            return None
        self.asked_at = time.monotonic()
        try:
            process = os.fork() if self._can(asked) else -1
        except OSError:  # no room for another: the client tries by itself, and says what is wrong
            process = -1
        if process == 0:
            self._let_go(client)
            return asked
        _close(asked.files)
        if process < 0:
            client.close()
        else:
            self._watch(process, client)
        return None

    def _can(self, asked: Asked) -> bool:
        """Tell whether what is imported is what this process would import."""
        if not self.code.is_current():
            self._retire()
            return False
        mine = (sys.executable, sys.path[0])
        return (asked.executable, asked.folder) == mine and asked.words[:1] == ["-m"]

    def _watch(self, process: int, client: socket.socket) -> None:
        """Tell a client which process stands for it, and see to the end of both."""
        try:
            ends = os.pidfd_open(process)
        except OSError:  # it cannot be watched, so it does not begin: the client does
            client.close()
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return
        self.runs[ends], self.clients[client] = client, (process, ends)
        self.waits.register(ends, selectors.EVENT_READ)
        self.waits.register(client, selectors.EVENT_READ)
        with contextlib.suppress(OSError):  # a client that has gone already is found gone next
            client.sendall(f"+{process}\n".encode())

    def _let_go(self, client: socket.socket) -> None:
        """Close in a new process what belongs to the server."""
        self.waits.close()
        for each in (self.listener, client, *self.clients):
            each.close()
        for descriptor in (*self.runs, self.lock):
            os.close(descriptor)

    def _ended(self, ends: int) -> None:
        """Tell a client how its process ended."""
        client = self.runs[ends]
        process, _ = self.clients[client]
        _, status = os.waitpid(process, 0)
        with contextlib.suppress(OSError):  # nobody may be there to be told
            client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        self._forget(client)

    def _left(self, client: socket.socket) -> None:
        """End what stands for nobody: whoever killed the client meant the run."""
        process, ends = self.clients[client]
        signal.pidfd_send_signal(ends, signal.SIGKILL)
        os.waitpid(process, 0)
        self._forget(client)

    def _forget(self, client: socket.socket) -> None:
        _, ends = self.clients.pop(client)
        del self.runs[ends]
        self.waits.unregister(ends)
        self.waits.unregister(client)
        os.close(ends)
        client.close()
        self.asked_at = time.monotonic()


def _is_ours(client: socket.socket) -> bool:
    """Tell whether the user that asks is the one that we run as."""
    found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", found)[1]) == os.getuid()


def _close(files: list[int]) -> None:
    for each in files:
        os.close(each)


def main() -> int:
    """Serve, unless another does; in a forked process, run what was asked for."""
    home = Path(forked.folder())
    lock = os.open(home / f"{forked.NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    warm()
    if threading.active_count() > 1:  # of a process with threads, a fork may hang for ever
        return 1
    asked = Server(home / f"{forked.NAME}.sock", lock).serve()
    if asked and asked.is_begun():
        asked.become()
        asked.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
