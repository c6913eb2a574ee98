"""The door: what a name, a path or an address may look like, and nothing else."""

import base64
import binascii
import re
from ipaddress import IPv6Address, ip_address
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

INSTANCE = r"^[a-z][a-z0-9_]*$"


def _absolute(path: PurePosixPath) -> PurePosixPath:
    """Accept a plain absolute path.

    >>> _absolute(PurePosixPath("/srv/odoo"))
    PurePosixPath('/srv/odoo')
    """
    if not re.fullmatch(r"(/[A-Za-z0-9._@+-]+)+", str(path)) or ".." in path.parts:
        raise ValueError("wants an absolute path of letters, digits and . _ @ + -")
    return path


def _host_or_ip(address: str) -> str:
    """Accept an IP address or a DNS name.

    >>> _host_or_ip("vps1.example.com"), _host_or_ip("2001:db8::1")
    ('vps1.example.com', '2001:db8::1')
    """
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*\.?", address):
        return address
    return str(ip_address(address))


def _own_role(role: str) -> str:
    if role == "postgres" or role.startswith("pg_"):
        raise ValueError("is PostgreSQL's own; name a role that Relevo may create")
    return role


def _local(path: Path) -> Path:
    if not str(path).isprintable():
        raise ValueError("wants a path of printable characters")
    return path


def _whole_key(key: str) -> str:
    """Accept a public key whose content is of the kind that it says.

    >>> _whole_key("ssh-ed25519 AAAA")
    Traceback (most recent call last):
    ValueError: is no whole public key: copy the line of /etc/ssh/ssh_host_ed25519_key.pub
    """
    kind, blob = key.split()[:2]
    try:
        content = base64.b64decode(blob, validate=True)
    except binascii.Error:
        content = b""
    size = int.from_bytes(content[:4], "big")
    if content[4 : 4 + size] != kind.encode() or len(content) < 2 * size:
        raise ValueError(
            "is no whole public key: copy the line of /etc/ssh/ssh_host_ed25519_key.pub"
        )
    return key


def _ip(address: str) -> str:
    return str(ip_address(address))


def _ip6(address: str) -> str:
    return str(IPv6Address(address))


InstanceName = Annotated[
    str,
    StringConstraints(pattern=INSTANCE, max_length=40),
    Field(description="Lower-case letters, digits and underscores."),
]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$", max_length=32)]
ClusterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$", max_length=63)]
UnitName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_@.-]*\.service$", max_length=120)
]
RoleName = Annotated[
    str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$", max_length=63), AfterValidator(_own_role)
]
LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
DomainName = Annotated[str, StringConstraints(pattern=rf"^{LABEL}(\.{LABEL})*$", max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535)]
AbsolutePath = Annotated[PurePosixPath, AfterValidator(_absolute)]
LocalPath = Annotated[Path, AfterValidator(_local)]
HostAddress = Annotated[str, AfterValidator(_host_or_ip)]
IpAddress = Annotated[str, AfterValidator(_ip)]
IpAddress6 = Annotated[str, AfterValidator(_ip6)]
HostKey = Annotated[
    str,
    StringConstraints(pattern=r"^(ssh-[a-z0-9-]+|ecdsa-[a-z0-9-]+) [A-Za-z0-9+/]+=*( .*)?$"),
    AfterValidator(_whole_key),
]
