"""Connections to other hosts: encrypted, pinned, and each shared by all who speak to its host."""

import base64
import contextlib
import functools
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import LoginRefused, RelevoError, ShutOut, Unreachable
from blocks.paramiko_alone import paramiko
from blocks.patience import Late

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # our errors say it in sentences

CONNECT_SECONDS = 10
COMMANDS = 5  # on one connection, of sshd's ten: the others are for relays (blocks/relay.py)
DEAD_PEER_SECONDS = 20
GREETING_BYTES = 1 << 16  # before the command, and before the protocol
PACKET_BYTES = 1 << 19  # OpenSSH's largest packet is half of it
# What a connection raises that is no more.
BROKEN = (paramiko.SSHException, OSError, EOFError)


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


_transports: dict[Address, paramiko.Transport] = {}
_spare: dict[Address, Future[paramiko.Transport]] = {}
_dialling: dict[Address, threading.Lock] = {}
_turns: dict[Address, threading.BoundedSemaphore] = {}


def connection(address: Address) -> paramiko.Transport:
    """The live connection to an address, opened if there is none.

    Who dials a host that is dead keeps nobody waiting who asks another.
    """
    with _dialling.setdefault(address, threading.Lock()):
        transport = _transports.get(address)
        if transport is None or not transport.is_active():
            transport = _transports[address] = connect(address)
        return transport


def dial_ahead(address: Address) -> None:
    """Begin to log in while there is something else to do: for all, and for one who holds a lock.

    Who asks first waits for it; where it fails, whoever asks tries again and says why.
    """
    _spare[address] = Future()

    def share() -> None:
        with contextlib.suppress(RelevoError, *BROKEN):
            connection(address)

    def spare(made: Future[paramiko.Transport]) -> None:
        try:
            made.set_result(connect(address))
        except (RelevoError, *BROKEN) as error:
            made.set_exception(error)

    threading.Thread(target=share, daemon=True).start()
    threading.Thread(target=spare, args=(_spare[address],), daemon=True).start()


def connect_alone(address: Address) -> paramiko.Transport:
    """A connection that nobody shares: the one that was dialled ahead, or a new one."""
    ahead = _spare.pop(address, None)
    if ahead is not None and ahead.exception() is None and ahead.result().is_active():
        return ahead.result()
    return connect(address)


@contextlib.contextmanager
def in_turn(address: Address, seconds: float) -> Iterator[float]:
    """Wait until few enough commands are under way on the shared connection.

    Give the seconds that are left then; raise Late where there are none.
    """
    begun = time.monotonic()
    turns = _turns.setdefault(address, threading.BoundedSemaphore(COMMANDS))
    if not turns.acquire(timeout=seconds):
        raise Late(f"{COMMANDS} other commands were under way there for {seconds:.0f} s")
    try:
        yield max(seconds - (time.monotonic() - begun), 1.0)
    finally:
        turns.release()


def open_session(address: Address) -> paramiko.Channel:
    """Open a channel for a command, on a new connection where the kept one turns out to be broken.

    sshd or a firewall may have ended it a moment ago. No command was sent yet, so nothing happens
    twice. A host that keeps the connection and does not answer gets no second chance, nor does one
    that refuses.
    """
    kept = _transports.get(address)
    transport = connection(address)
    try:
        return transport.open_session(timeout=CONNECT_SECONDS)
    except paramiko.ChannelException as error:
        raise ShutOut(
            f"sshd on {address} opens no more sessions on one connection",
            hint="set MaxSessions to 10 or more in sshd_config there and reload sshd; if it is "
            "that already, look for what that server lacks (processes, memory)",
        ) from error
    except BROKEN as error:
        ended = isinstance(error, EOFError) or not transport.is_active()
        if transport is not kept or not ended:
            raise
        forget(address, transport)
        return connection(address).open_session(timeout=CONNECT_SECONDS)


def kept_connection(address: Address) -> paramiko.Transport | None:
    return _transports.get(address)


def is_connected(address: Address) -> bool:
    transport = kept_connection(address)
    return transport is not None and transport.is_active()


def forget(address: Address, broken: paramiko.Transport | None = None) -> None:
    """Close the kept connection, but not one that another thread has opened since `broken`."""
    with _dialling.setdefault(address, threading.Lock()):
        kept = _transports.get(address)
        if kept is not None and broken in (None, kept):
            del _transports[address]
            kept.close()


def connect(address: Address) -> paramiko.Transport:
    """Log in. An unknown host key is never accepted: who cannot be asked is unreachable to us."""
    key = _key(address)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(RefuseUnknown())
    if address.host_key:
        _pin(client, address)
    else:
        client.load_system_host_keys()
    with _refusals(address):
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
    transport = client.get_transport()
    assert transport is not None, "connect() leaves a transport"
    transport.set_keepalive(5)
    return transport


@contextlib.contextmanager
def _refusals(address: Address) -> Iterator[None]:
    """Say why a login has failed, and what to do about it."""
    try:
        yield
    except paramiko.BadHostKeyException as error:
        raise ShutOut(
            f"the host key of {address} has changed: it is {error.key.fingerprint}, not "
            f"{error.expected_key.fingerprint}",
            hint=f"compare it on {address.name} with ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub; if that server was reinstalled, correct "
            "host_key in the inventory; otherwise another machine answers at this address",
        ) from error
    except paramiko.AuthenticationException as error:
        silent = "timeout" in str(error)
        raise (Unreachable if silent else LoginRefused)(
            f"cannot log in to {address}: {error}",
            hint=f"add the public half of {address.key_file or 'the key of this runner'} to "
            f"authorized_keys of {address.user} there; the key must have no passphrase",
        ) from error
    except paramiko.SSHException as error:
        if "No authentication methods" not in str(error):
            raise
        raise ShutOut(
            f"there is no key for the login to {address}",
            hint="set key_file in the inventory, or give this user a key in ~/.ssh",
        ) from error


class Packets(paramiko.packet.Packetizer):
    """Packets as far as an honest peer sends them: before the login, anybody may be one."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.greeted, self.greeting_ends = 0, time.monotonic() + 2 * CONNECT_SECONDS

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002  # paramiko's
        if n > PACKET_BYTES:
            raise paramiko.SSHException(f"it announces a packet of {n} bytes")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        """Read a part of the greeting, which is all that comes by lines."""
        part: bytes = super()._read_timeout(timeout)  # type: ignore[misc]  # the stubs lack it
        self.greeted += len(part)
        if self.greeted > GREETING_BYTES or time.monotonic() > self.greeting_ends:
            raise paramiko.SSHException("its greeting does not end")
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
            hint="name the private half in the inventory: the file without .pub",
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
            hint="remove it with ssh-keygen -p, or name another key in the inventory",
        ) from error
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise ShutOut(
            f"{what} cannot be used: {error}",
            hint="name an RSA, ECDSA or Ed25519 key of OpenSSH in the inventory",
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
            hint="compare it on the host with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub, "
            "then put the public key into the inventory as host_key",
        )


def _pin(client: paramiko.SSHClient, address: Address) -> None:
    """Expect this one key, by the name under which OpenSSH files it."""
    kind, blob = (address.host_key or "").split()[:2]
    key = paramiko.PKey.from_type_string(kind, base64.b64decode(blob))
    standard = address.port == paramiko.config.SSH_PORT
    filed = address.host if standard else f"[{address.host}]:{address.port}"
    client.get_host_keys().add(filed, kind, key)
