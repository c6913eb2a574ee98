"""The key that a host shows before anybody logs in to it, held against ~/.ssh/known_hosts."""

import contextlib
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from blocks.errors import ShutOut, Unreachable
from blocks.paramiko_alone import paramiko
from blocks.ssh_login import BROKEN, CONNECT_SECONDS, Packets

KNOWN_HOSTS = Path("~/.ssh/known_hosts")
HASHED = "|1|"  # how a name begins that known_hosts does not show
# What a damaged line raises: of a key, of no UTF-8, and of a name that is hashed.
DAMAGED = (InvalidHostKey, ValueError, AssertionError)
RSA = "ssh-rsa"  # how a key is filed with which a host signs in the newer ways, too


@dataclass(frozen=True)
class ShownKey:
    """A public key as the inventory takes it, and whether known_hosts has it already."""

    line: str
    fingerprint: str
    known: bool


def ask(host: str, port: int) -> ShownKey:
    """Let a host show its key, without a login; raise ShutOut when another one is known."""
    known = _filed(host, port)
    try:
        with contextlib.closing(_greeted(host, port, known.keys())) as transport:
            key = transport.get_remote_server_key()
    except BROKEN as error:
        raise Unreachable(
            f"{host} port {port} did not show its host key: {error or 'timed out'}",
            hint="check that it is up, that its sshd listens at this port, and that no firewall "
            "blocks this machine",
        ) from error
    kept = known.get(key.get_name())
    if known and kept != key:
        raise ShutOut(
            f"{host} port {port} shows another host key than the one in {KNOWN_HOSTS}: "
            f"{key.get_name()} {key.fingerprint}",
            hint="compare it there with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; if the "
            f"server was reinstalled, run ssh-keygen -R '{_name(host, port)}' here",
        )
    return ShownKey(f"{key.get_name()} {key.get_base64()}", key.fingerprint, known=bool(known))


def _filed(host: str, port: int) -> Mapping[str, paramiko.PKey]:
    path = KNOWN_HOSTS.expanduser()
    try:
        filed = paramiko.HostKeys(str(path)) if path.exists() else paramiko.HostKeys()
        return filed.lookup(_name(host, port)) or {}
    except OSError as error:
        raise ShutOut(
            f"{path} cannot be read, so the key of {host} port {port} is not known: "
            f"{error.strerror}",
            hint="correct its owner or mode",
        ) from error
    except DAMAGED as error:
        raise ShutOut(
            f"line {_damaged(path)} of {path} is damaged, so the key of {host} port {port} is not "
            "known",
            hint="remove the line that it names",
        ) from error


def _damaged(path: Path) -> int:
    """Number the first line that cannot be read; 0 where each can."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            _read(line.decode().strip())
        except paramiko.SSHException:  # a key of a kind that nobody here knows
            continue
        except DAMAGED:
            return number
    return 0


def _read(line: str) -> None:
    entry = None if line.startswith("#") else HostKeyEntry.from_line(line)
    for name in entry.hostnames if entry else ():
        if name.startswith(HASHED):
            paramiko.HostKeys.hash_host("", name)


def _name(host: str, port: int) -> str:
    """Name a host as OpenSSH files it.

    >>> _name("vps1.example.com", 22), _name("10.0.0.1", 5253)
    ('vps1.example.com', '[10.0.0.1]:5253')
    """
    return host if port == paramiko.config.SSH_PORT else f"[{host}]:{port}"


def _greeted(host: str, port: int, known: Collection[str]) -> paramiko.Transport:
    sock = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
    transport = paramiko.Transport(sock, packetizer_class=Packets)
    options = transport.get_security_options()
    options.key_types = tuple(
        sorted(options.key_types, key=lambda kind: _family(kind) not in known)
    )
    try:
        transport.start_client(timeout=CONNECT_SECONDS)
    except BaseException:
        transport.close()
        raise
    return transport


def _family(kind: str) -> str:
    """
    >>> _family("rsa-sha2-512"), _family("ssh-ed25519")
    ('ssh-rsa', 'ssh-ed25519')
    """
    return RSA if kind.startswith("rsa-sha2") else kind
