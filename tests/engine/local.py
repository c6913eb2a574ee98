"""A shell to this machine itself, for questions to real clusters without an ssh before them."""

import socket
import subprocess
from collections.abc import Hashable, Sequence
from pathlib import PurePosixPath

import paramiko

from blocks import session, sql
from blocks.cluster import Cluster
from blocks.errors import CommandFailed, Unreachable
from blocks.relay import Pipe
from blocks.shell import SAID_BYTES, Completed
from tests.engine.clusters import Server, tools


class LocalShell:
    """The protocol of blocks.shell, over processes of this machine."""

    def __init__(self, host: str = "here") -> None:
        self.host = host
        self.started: list[subprocess.Popen[bytes]] = []

    @property
    def key(self) -> Hashable:
        return self.host, id(self)

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = 60,
        limit_bytes: int = SAID_BYTES,  # noqa: ARG002  # the protocol's
    ) -> Completed:
        line = ("runuser", "-u", user, "--", *argv) if user != "root" else tuple(argv)
        done = subprocess.run(
            line, input=stdin, capture_output=True, text=True, check=False, cwd="/",
            timeout=timeout_seconds,
        )  # fmt: skip
        completed = Completed(tuple(argv), done.returncode, done.stdout, done.stderr)
        if check and done.returncode:
            raise self.complaint(completed)
        return completed

    def complaint(self, done: Completed) -> CommandFailed:
        return CommandFailed(
            f"{done.argv[0]} failed on {self.host}: {done.tail}",
            status=done.status,
            argv=done.argv,
            last_lines=done.tail.splitlines(),
        )

    def ask(self, login: sql.Login, question: sql.Question) -> list[sql.Row]:
        try:
            return session.ask(self, login, question)
        except (OSError, EOFError) as error:
            raise Unreachable(f"{self.host} did not answer: {error}") from error

    def is_open(self) -> bool:
        return True

    def pipe(self, argv: Sequence[str], *, user: str) -> Pipe:
        ours, theirs = socket.socketpair()
        with theirs:
            door = theirs.fileno()
            self.started.append(
                subprocess.Popen(argv, stdin=door, stdout=door, cwd="/", user=user, group=user)
            )
        return ours

    def why_ended(self, pipe: Pipe, argv: Sequence[str]) -> Exception:  # noqa: ARG002
        return EOFError(f"{argv[0]} has ended")

    def hold(self, argv: Sequence[str]) -> paramiko.Channel:
        raise NotImplementedError

    def close(self) -> None:
        for each in self.started:
            each.kill()
            each.wait()


class Elsewhere(Cluster):
    """A cluster whose programs are those of the tests, wherever they lie."""

    @property
    def bin_dir(self) -> PurePosixPath:
        return PurePosixPath(tools())


def cluster_of(server: Server) -> Cluster:
    """The noun for a cluster of the tests."""
    return Elsewhere(version=server.version, port=server.port, sockets=PurePosixPath(server.socket))
