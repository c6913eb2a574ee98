"""Commands on another host: the only place that speaks ssh."""

import base64
import contextlib
import functools
import logging
import select
import shlex
import socket
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import paramiko
from paramiko.pkey import UnknownKeyType

from blocks import session, sql, turn
from blocks.errors import Busy, CommandFailed, LoginRefused, ShutOut, Unreachable
from blocks.lease import Lease, require_lease
from blocks.plain import plain
from blocks.relay import Pipe
from blocks.turn import Kind, Turn

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # our errors say it in sentences

CONNECT_SECONDS = 10
DEAD_PEER_SECONDS = 20
BEGIN_SECONDS = 60
ENTER_SECONDS = 60
ENTRIES = 3
# What a host may say. It may be in somebody else's hands, and one process serves all customers.
SAID_BYTES = 16 << 20  # by a command
LINE_BYTES = 4096  # in a line
GREETING_BYTES = 1 << 16  # before the command, and before the protocol
PACKET_BYTES = 1 << 19  # OpenSSH's largest packet is half of it
# What a connection raises that is no more.
BROKEN = (paramiko.SSHException, OSError, EOFError)
TAIL = 4000


@dataclass(frozen=True)
class Completed:
    """How a command ended."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def tail(self) -> str:
        """The last ten lines that it said, the errors if there were any."""
        said = self.stderr.strip() or self.stdout.strip()
        return plain("\n".join(said.splitlines()[-10:]), lines=True, longest=TAIL)


class Shell(Protocol):
    """Commands on one host, as any of its users."""

    host: str

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
        """Run a command to its end; raise CommandFailed when it says no, or too much."""

    def complaint(self, done: Completed) -> CommandFailed:
        """Say that a command has failed, as run() does when it checks."""

    def ask(self, login: sql.Login, question: sql.Question) -> list[sql.Row]:
        """Ask PostgreSQL on the host; raise StatementFailed when it says no (blocks/session.py)."""

    def hold(self, argv: Sequence[str]) -> paramiko.Channel:
        """Start a command as root, over a connection of its own that lives until it is closed."""


# What a login's own files print stands before this line, and is not the command's; their umask
# and language are not ours.
BEGINS = "relevo-begins"
BEGIN = f'umask 022; export LC_ALL=C; echo {BEGINS}; echo {BEGINS} >&2; exec "$@"'


def command_line(
    argv: Sequence[str], *, user: str, login: str, mine: Turn | None = None, kind: Kind = "ends"
) -> str:
    """Render what sshd hands to the login shell; root judges a turn before the command begins.

    >>> command_line(("psql", "-c", "SELECT 1"), user="postgres", login="admin").replace(BEGIN, "B")
    "cd / && exec sudo -n -H -u postgres -- sh -c 'B' sh psql -c 'SELECT 1'"
    >>> command_line(("id",), user="root", login="root").replace(BEGIN, "B")
    "cd / && exec sh -c 'B' sh id"
    >>> command_line(("id",), user="odoo", login="root").replace(BEGIN, "B")
    "cd / && exec runuser -u odoo -- sh -c 'HOME=~odoo; B' sh id"
    >>> line = command_line(("id",), user="odoo", login="admin", mine=Turn("vps_1", "7"))
    >>> line.split("turn vps_1")[0].replace(turn.JUDGE, "J")
    "cd / && exec sudo -n -H -u root -- sh -c 'J' "
    >>> line.split("turn vps_1")[1].replace(BEGIN, "B")
    " 7 ends runuser -u odoo -- sh -c 'HOME=~odoo; B' sh id"
    """
    if mine is not None:
        inner = ("sh", "-c", BEGIN, "sh", *argv)
        judged = mine.judged(inner if user == "root" else _by_root(user, argv), kind)
        become = () if login == "root" else ("sudo", "-n", "-H", "-u", "root", "--")
        return "cd / && exec " + shlex.join((*become, *judged))
    if user == login:
        whole: tuple[str, ...] = ("sh", "-c", BEGIN, "sh", *argv)
    elif login == "root":
        whole = _by_root(user, argv)
    else:
        whole = ("sudo", "-n", "-H", "-u", user, "--", "sh", "-c", BEGIN, "sh", *argv)
    return "cd / && exec " + shlex.join(whole)


def _by_root(user: str, argv: Sequence[str]) -> tuple[str, ...]:
    return ("runuser", "-u", user, "--", "sh", "-c", f"HOME=~{user}; {BEGIN}", "sh", *argv)


def own_words(said: str) -> str:
    r"""Leave out what a login's own files printed before the command began.

    >>> own_words("Welcome!\nrelevo-begins\n1\n"), own_words("sudo: a password is required\n")
    ('1\n', 'sudo: a password is required\n')
    """
    before, begins, after = said.partition(f"{BEGINS}\n")
    return after if begins else before


@dataclass(frozen=True)
class Address:
    """Where and as whom to log in; equal addresses share one connection."""

    name: str
    host: str
    port: int
    user: str
    key_file: Path | None
    host_key: str | None

    def __str__(self) -> str:
        return f"{self.name} ({self.user}@{self.host} port {self.port})"


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
        with self._unreachable(argv[0]):
            completed = self._run(argv, user, stdin.encode(), timeout_seconds, limit_bytes)
        if completed is None:
            raise CommandFailed(
                f"{argv[0]} on {self.host} says more than {limit_bytes} bytes and was ended: "
                f"{shlex.join(argv)[:300]}",
                hint=f"see what it says on {self.host}: Relevo asks for nothing that long",
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
            with contextlib.closing(self._start(argv, user)) as channel:
                done = _converse(channel, tuple(argv), stdin, timeout_seconds, limit_bytes)
            if done is None or not self._unheard(done):
                return done
        raise EOFError("the host forgets whose turn it is")

    def _start(self, argv: Sequence[str], user: str, kind: Kind = "ends") -> paramiko.Channel:
        """Send a command with the turn of this run.

        What a host knows of turns is gone after a boot, and every connection with it: so the lease
        is asked for once more when the connection is there.
        """
        channel = _transport(self.address).open_session(timeout=CONNECT_SECONDS)
        lease = require_lease()
        mine = lease.turn if lease else None
        _begin(
            channel, command_line(argv, user=user, login=self.address.user, mine=mine, kind=kind)
        )
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
        channel = _transport(self.address).open_session(timeout=CONNECT_SECONDS)
        require_lease()
        argv = mine.entering()
        _begin(channel, command_line(argv, user="root", login=self.address.user))
        with contextlib.closing(channel):
            done = _converse(channel, ("python3", "(turn)"), b"", ENTER_SECONDS, SAID_BYTES)
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

    @property
    def key(self) -> Hashable:
        return self.address

    def ask(self, login: sql.Login, question: sql.Question) -> list[sql.Row]:
        with self._unreachable("a question to PostgreSQL"):
            try:
                return session.ask(self, login, question)
            except CommandFailed:
                require_lease()  # whoever took it over has ended the session
                raise

    def pipe(self, argv: Sequence[str], *, user: str) -> paramiko.Channel:
        """Start a command whose input and output are ours until it is closed."""
        for _ in range(ENTRIES):
            channel = self._start(argv, user, "stays")
            if _skip_to_begin(channel) or not self._unheard(self._ended(channel, argv)):
                return channel
            channel.close()
        raise EOFError("the host forgets whose turn it is")

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
            channel = _connect(self.address).open_session(timeout=CONNECT_SECONDS)
            _begin(channel, command_line(argv, user="root", login=self.address.user))
            _skip_to_begin(channel)
            return channel

    @contextlib.contextmanager
    def _unreachable(self, what: str) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            _forget(self.address)
            require_lease()  # whoever took it over has ended what was asked
            raise Unreachable(
                f"{self.address} did not answer while running {what}: {error or 'timed out'}",
                hint=f"see that {self.host} is up and lets {self.address.user} log in with the "
                "key of the inventory, then retry this run",
            ) from error


def turn_stuck(instance: str, host: str, said: str) -> Busy:
    """Say that a command of the run before cannot be ended."""
    process = plain(" ".join(said.split()[1:]), longest=TAIL)
    return Busy(
        f"a command of the run before is still at work on {host}, and does not end: {process}",
        hint=f"see what that process waits for on {host} (a disk that hangs?), end it, and retry "
        f"this run of {instance}",
    )


def _sudo_hint(completed: Completed, address: Address) -> str:
    if any(line.startswith("sudo:") for line in completed.stderr.splitlines()):
        return f"let {address.user} run sudo without a password on {address.name}"
    return ""


def _begin(channel: paramiko.Channel, line: str) -> None:
    """Have a command begin; a host that takes the question and never answers is left."""
    late = threading.Timer(BEGIN_SECONDS, _give_up, (channel,))
    late.daemon = True
    late.start()
    try:
        channel.exec_command(line)
    finally:
        late.cancel()


def _give_up(channel: paramiko.Channel) -> None:
    with contextlib.suppress(*BROKEN):
        channel.close()


def _converse(
    channel: paramiko.Channel,
    argv: tuple[str, ...],
    stdin: bytes,
    timeout_seconds: float,
    limit_bytes: int,
) -> Completed | None:
    """Feed a command and read it to its end; give nothing when it says too much."""
    deadline = time.monotonic() + timeout_seconds
    channel.settimeout(timeout_seconds)
    threading.Thread(target=_feed, args=(channel, stdin), daemon=True).start()
    out, err = bytearray(), bytearray()
    while not channel.closed or channel.recv_ready() or channel.recv_stderr_ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no end after {timeout_seconds:.0f} s")
        if not (channel.recv_ready() or channel.recv_stderr_ready()):
            if channel.exit_status_ready() and channel.eof_received:
                break
            select.select([channel], [], [], 0.5)
        out += channel.recv(1 << 16) if channel.recv_ready() else b""
        err += channel.recv_stderr(1 << 16) if channel.recv_stderr_ready() else b""
        if len(out) + len(err) > limit_bytes:
            return None
    if (status := channel.recv_exit_status()) == -1:
        raise EOFError("the connection broke before the command ended")
    said, complained = (own_words(each.decode(errors="replace")) for each in (out, err))
    return Completed(argv, status, said, complained)


def _skip_to_begin(channel: paramiko.Channel) -> bool:
    """Read up to where the command itself begins to speak; tell whether it does."""
    deadline, line = time.monotonic() + BEGIN_SECONDS, b""
    for _ in range(GREETING_BYTES):
        byte = _one(channel, deadline)
        if not byte or line.endswith(BEGINS.encode()):
            return bool(byte)
        line = b"" if byte == b"\n" else line + byte
    raise OSError(f"its login prints more than {GREETING_BYTES} bytes")


def read_line(channel: paramiko.Channel, *, timeout_seconds: float = BEGIN_SECONDS) -> str:
    """Read a line of a command that is held; raise OSError when there is none in time."""
    deadline, line = time.monotonic() + timeout_seconds, b""
    while len(line) < LINE_BYTES:
        byte = _one(channel, deadline)
        if byte in {b"", b"\n"}:
            return line.decode(errors="replace").strip()
        line += byte
    raise OSError(f"it says a line of more than {LINE_BYTES} bytes")


def _one(channel: paramiko.Channel, deadline: float) -> bytes:
    """One byte, before a time; none at the end."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long to say what it has to say")
    channel.settimeout(left)
    try:
        return channel.recv(1)
    finally:
        channel.settimeout(None)


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    with contextlib.suppress(*BROKEN):  # the command may end without reading; its status tells
        channel.sendall(stdin)
        channel.shutdown_write()


_transports: dict[Address, paramiko.Transport] = {}
_dialling: dict[Address, threading.Lock] = {}


def _transport(address: Address) -> paramiko.Transport:
    """The live connection to an address, opened if there is none.

    Who dials a host that is dead keeps nobody waiting who asks another.
    """
    with _dialling.setdefault(address, threading.Lock()):
        transport = _transports.get(address)
        if transport is None or not transport.is_active():
            transport = _transports[address] = _connect(address)
        return transport


def _forget(address: Address) -> None:
    if transport := _transports.pop(address, None):
        transport.close()


def _connect(address: Address) -> paramiko.Transport:
    """Log in. An unknown host key is never accepted: who cannot be asked is unreachable to us."""
    key = _key(address)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(RefuseUnknown())
    if address.host_key:
        _pin(client, address)
    else:
        client.load_system_host_keys()
    try:
        client.connect(
            address.host,
            address.port,
            address.user,
            pkey=key,
            sock=_dial(address),
            banner_timeout=CONNECT_SECONDS,
            auth_timeout=CONNECT_SECONDS,
            timeout=2 * CONNECT_SECONDS,
            transport_factory=functools.partial(paramiko.Transport, packetizer_class=Packets),
            allow_agent=address.key_file is None,
            look_for_keys=address.key_file is None,
        )
    except paramiko.BadHostKeyException as error:
        raise ShutOut(
            f"{address} shows another host key than the one that is known: "
            f"{error.key.fingerprint}, not {error.expected_key.fingerprint}",
            hint=f"if {address.name} was made anew, compare it there with ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub and correct host_key in the inventory; otherwise "
            "somebody else answers at this address",
        ) from error
    except paramiko.AuthenticationException as error:
        silent = "timeout" in str(error)
        raise (Unreachable if silent else LoginRefused)(
            f"cannot log in to {address}: {error}",
            hint=f"put the public half of {address.key_file or 'the key of this runner'} in "
            f"authorized_keys of {address.user} there; the key has no passphrase",
        ) from error
    except paramiko.SSHException as error:
        if "No authentication methods" not in str(error):
            raise
        raise ShutOut(
            f"there is no key with which to log in to {address}",
            hint="name one as key_file in the inventory, or give this user one in ~/.ssh",
        ) from error
    transport = client.get_transport()
    assert transport is not None, "connect() leaves a transport"
    transport.set_keepalive(5)
    return transport


class Packets(paramiko.packet.Packetizer):
    """Packets as far as an honest peer sends them: before the login, anybody may be one."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.greeted, self.greeting_ends = 0, time.monotonic() + 2 * CONNECT_SECONDS

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002  # paramiko's
        if n > PACKET_BYTES:
            raise paramiko.SSHException(f"a packet of {n} bytes is announced")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        """Read a part of the greeting, which is all that comes by lines."""
        part: bytes = super()._read_timeout(timeout)  # type: ignore[misc]  # the stubs lack it
        self.greeted += len(part)
        if self.greeted > GREETING_BYTES or time.monotonic() > self.greeting_ends:
            raise paramiko.SSHException("a greeting that does not end")
        return part


def _require_key_file(address: Address) -> None:
    """Say of a key that is not there that it is no fault of the host's."""
    if address.key_file is None:
        return
    try:
        private = b"PRIVATE KEY" in address.key_file.read_bytes()
    except OSError as error:
        raise ShutOut(
            f"the key file {address.key_file} of {address.name} cannot be read: {error.strerror}",
            hint="correct key_file in the inventory, or its owner and mode on this machine",
        ) from error
    if not private:
        raise ShutOut(
            f"the key file {address.key_file} of {address.name} holds no private key",
            hint="name the private half in the inventory, which is the one without .pub",
        )


def _key(address: Address) -> paramiko.PKey | None:
    """Load the key of the inventory: paramiko itself would guess its kind, and hide a refusal."""
    _require_key_file(address)
    if address.key_file is None:
        return None
    what = f"the key file {address.key_file} of {address.name}"
    try:
        return paramiko.PKey.from_path(address.key_file)
    except (TypeError, paramiko.PasswordRequiredException) as error:
        raise ShutOut(
            f"{what} has a passphrase",
            hint="take it out with ssh-keygen -p, or name another key in the inventory",
        ) from error
    except (ValueError, paramiko.SSHException, UnknownKeyType) as error:
        raise ShutOut(
            f"{what} cannot be used: {error}",
            hint="name an RSA, ECDSA or Ed25519 key of OpenSSH's in the inventory",
        ) from error


def _dial(address: Address) -> socket.socket:
    """Open a connection that notices a dead peer."""
    sock = socket.create_connection((address.host, address.port), timeout=CONNECT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # A command is several small packets; without this each waits 40 ms for the peer's late ACK.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class RefuseUnknown(paramiko.MissingHostKeyPolicy):
    """Trust no host key on first sight."""

    def missing_host_key(
        self,
        client: paramiko.SSHClient,  # noqa: ARG002  # paramiko's signature
        hostname: str,
        key: paramiko.PKey,
    ) -> None:
        raise ShutOut(
            f"the host key of {hostname} is not known: {key.get_name()} {key.fingerprint}",
            hint="compare it at the host with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub, "
            "then put the public key into the inventory as host_key",
        )


def _pin(client: paramiko.SSHClient, address: Address) -> None:
    """Expect this one key, by the name under which OpenSSH files it."""
    kind, blob = (address.host_key or "").split()[:2]
    key = paramiko.PKey.from_type_string(kind, base64.b64decode(blob))
    standard = address.port == paramiko.config.SSH_PORT
    filed = address.host if standard else f"[{address.host}]:{address.port}"
    client.get_host_keys().add(filed, kind, key)
