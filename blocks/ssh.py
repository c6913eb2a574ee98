"""Commands on another host, by ssh."""

import contextlib
import shlex
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from blocks import at_hand, session, sql, turn
from blocks.errors import CommandFailed, Unreachable
from blocks.lease import Lease, require_lease
from blocks.paramiko_alone import paramiko
from blocks.patience import Late, at_most
from blocks.relay import Pipe
from blocks.shell import SAID_BYTES, Completed, command_line, own_words, turn_stuck
from blocks.ssh_channel import begin, converse, skip_to_begin
from blocks.ssh_login import (
    BROKEN,
    CONNECT_SECONDS,
    Address,
    connect_alone,
    forget,
    in_turn,
    is_connected,
    kept_connection,
    open_session,
)
from blocks.turn import Kind, Turn

ENTER_SECONDS = 60
ENTRIES = 3


class SshShell:
    """A shell over one shared, encrypted and pinned connection."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.host = address.name

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = 60,
        limit_bytes: int = SAID_BYTES,
    ) -> Completed:
        require_lease()
        at_hand.forget(self.host)
        timeout_seconds = at_most(timeout_seconds, self.host)
        with self._unreachable(argv[0]):
            completed = self._run(argv, user, stdin.encode(), timeout_seconds, limit_bytes)
        if completed is None:
            raise CommandFailed(
                f"{argv[0]} on {self.host} printed more than {limit_bytes} bytes and was stopped: "
                f"{shlex.join(argv)[:300]}",
                hint=f"run it by hand on {self.host} to see what it prints: Relevo expects "
                "a short output",
                argv=argv,
            )
        if completed.status != 0:
            require_lease()  # whoever took it over has ended the command
        if check and completed.status != 0:
            raise self.complaint(completed)
        return completed

    def _run(
        self,
        argv: Sequence[str],
        user: str,
        stdin: bytes,
        timeout_seconds: float,
        limit_bytes: int,
    ) -> Completed | None:
        """Run a command; on a host that has not heard of this run's turn yet, in two goes."""
        for _ in range(ENTRIES):
            with (
                in_turn(self.address, timeout_seconds) as left,
                contextlib.closing(self._start(argv, user)) as channel,
            ):
                done = converse(channel, tuple(argv), stdin, left, limit_bytes)
            if done is None or not self._unheard(done):
                return done
        raise EOFError("the host does not keep the turn of this run")

    def _start(self, argv: Sequence[str], user: str, kind: Kind = "ends") -> paramiko.Channel:
        """Send a command with the turn of this run.

        What a host knows of turns is gone after a boot, and every connection with it: so the lease
        is asked for once more when the connection is there.
        """
        channel = open_session(self.address)
        lease = require_lease()
        mine = lease.turn if lease else None
        begin(channel, command_line(argv, user=user, login=self.address.user, mine=mine, kind=kind))
        return channel

    def _unheard(self, done: Completed) -> bool:
        """Bring this run's turn to a host that has not heard of it; raise Busy if it is over."""
        if not (said := turn.verdict(done.status, done.stderr)):
            return False
        if (lease := require_lease()) is None or lease.turn is None:
            return False
        if said == "over":
            raise lease.refused_by(self.host)
        self._enter(lease, lease.turn)
        return True

    def _enter(self, lease: Lease, mine: Turn) -> None:
        with (
            in_turn(self.address, ENTER_SECONDS) as left,
            contextlib.closing(open_session(self.address)) as channel,
        ):
            require_lease()
            begin(channel, command_line(mine.entering(), user="root", login=self.address.user))
            done = converse(channel, ("python3", "(turn)"), b"", left, SAID_BYTES)
        assert done is not None, "it says a line"
        if turn.verdict(done.status, done.stderr) == "over":
            raise lease.refused_by(self.host)
        if done.status == turn.STUCK:
            raise turn_stuck(lease.instance, self.host, done.stdout)
        if done.status:
            raise self.complaint(done)

    def complaint(self, done: Completed) -> CommandFailed:
        return CommandFailed(
            f"{done.argv[0]} failed on {self.host} with status {done.status}: "
            f"{shlex.join(done.argv)[:300]}\n{done.tail}",
            hint=_sudo_hint(done, self.address),
            status=done.status,
            argv=done.argv,
            last_lines=done.tail.splitlines(),
        )

    def is_open(self) -> bool:
        return is_connected(self.address)

    @property
    def key(self) -> Hashable:
        return self.address

    def ask(self, login: sql.Login, question: sql.Question) -> list[sql.Row]:
        if question.acts:
            at_hand.forget(self.host)
        asked = replace(question, timeout_seconds=at_most(question.timeout_seconds, self.host))
        with self._unreachable("a question to PostgreSQL"):
            try:
                return session.ask(self, login, asked)
            except CommandFailed:
                require_lease()  # whoever took it over has ended the session
                raise

    def pipe(self, argv: Sequence[str], *, user: str) -> paramiko.Channel:
        """Start a command whose input and output are ours until it is closed."""
        for _ in range(ENTRIES):
            channel = self._start(argv, user, "stays")
            if skip_to_begin(channel) or not self._unheard(self._ended(channel, argv)):
                return channel
            channel.close()
        raise EOFError("the host does not keep the turn of this run")

    def _ended(self, channel: paramiko.Channel, argv: Sequence[str]) -> Completed:
        """What a command that is at its end has said; status 0 where the connection broke."""
        if not channel.status_event.wait(CONNECT_SECONDS) or (status := channel.exit_status) <= 0:
            return Completed(tuple(argv), 0, "", "")
        said = own_words(channel.recv_stderr(1 << 16).decode(errors="replace"))
        return Completed(tuple(argv), status, "", said)

    def why_ended(self, pipe: Pipe, argv: Sequence[str]) -> Exception:
        """Say why such a command ended: CommandFailed, or EOFError where the connection broke."""
        assert isinstance(pipe, paramiko.Channel), "we have opened it"
        ended = self._ended(pipe, argv)
        if ended.status == 0:
            return EOFError("the connection broke before the command ended")
        return self.complaint(ended)

    def hold(self, argv: Sequence[str]) -> paramiko.Channel:
        with self._unreachable(argv[0]):
            channel = connect_alone(self.address).open_session(timeout=CONNECT_SECONDS)
            begin(channel, command_line(argv, user="root", login=self.address.user))
            skip_to_begin(channel)
            return channel

    @contextlib.contextmanager
    def _unreachable(self, what: str) -> Iterator[None]:
        kept = kept_connection(self.address)
        try:
            yield
        except BROKEN as error:
            if not isinstance(error, Late):  # others have commands on it
                forget(self.address, kept)
            require_lease()  # whoever took it over has ended what was asked
            raise Unreachable(
                f"{self.address} did not answer while running {what}: {error or 'timed out'}",
                hint=f"check that {self.host} is up and that {self.address.user} can log in with "
                "the key of the inventory, then retry this run",
            ) from error


def _sudo_hint(completed: Completed, address: Address) -> str:
    lines = [line for line in completed.stderr.splitlines() if line.startswith("sudo:")]
    if any("tty" in line for line in lines):
        return f"write 'Defaults:{address.user} !requiretty' into a file of /etc/sudoers.d there"
    if lines:
        return f"let {address.user} run sudo without a password on {address.name}"
    return ""
