"""The door: what a name, a path or an address may look like, and nothing else."""

import base64
import binascii
import difflib
import re
import zoneinfo
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

INSTANCE = r"^[a-z][a-z0-9_]*$"
# The major releases of PostgreSQL with which Relevo was tried; a newer one is said to be so.
TRIED = (12, 18)
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# What systemd takes for the kind of a unit; whatever ends otherwise is a service to it.
KINDS = (
    ".automount", ".device", ".mount", ".path", ".scope", ".slice", ".socket", ".swap", ".target",
    ".timer",
)  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """What a word must look like, for a machine and for a person.

    >>> Form("[a-z]+", 8, "lower-case letters")("Vps")
    Traceback (most recent call last):
    ValueError: is 'Vps'; it must be lower-case letters, at most 8
    """

    pattern: str
    longest: int
    wants: str

    def __call__(self, said: str) -> str:
        if len(said) > self.longest or not re.fullmatch(self.pattern, said):
            raise ValueError(f"is {said!r:.80}; it must be {self.wants}, at most {self.longest}")
        return said


def _absolute(path: PurePosixPath) -> PurePosixPath:
    """Accept a plain absolute path.

    >>> _absolute(PurePosixPath("/srv/odoo"))
    PurePosixPath('/srv/odoo')
    """
    if not re.fullmatch(r"(/[A-Za-z0-9._@+-]+)+", str(path)) or ".." in path.parts:
        raise ValueError("must be an absolute path of letters, digits and . _ @ + -")
    return path


def _host_or_ip(address: str) -> str:
    """Accept an IP address or a DNS name.

    >>> _host_or_ip("vps1.example.com"), _host_or_ip("2001:db8::1")
    ('vps1.example.com', '2001:db8::1')
    """
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*\.?", address):
        return address
    return _ip(address, wants="an IP address or a DNS name")


def _own_role(role: str) -> str:
    if role == "postgres" or role.startswith("pg_"):
        raise ValueError("is reserved by PostgreSQL; name a role that Relevo may create")
    return role


def _local(path: Path) -> Path:
    if not str(path).isprintable():
        raise ValueError("must be a path of printable characters")
    return path


def _whole_key(key: str) -> str:
    """Accept a public key whose content is of the kind that it says.

    >>> _whole_key("ssh-ed25519 AAAA")
    Traceback (most recent call last):
    ValueError: is not a whole public key: copy the line of /etc/ssh/ssh_host_ed25519_key.pub
    """
    kind, blob = key.split()[:2]
    try:
        content = base64.b64decode(blob, validate=True)
    except binascii.Error:
        content = b""
    size = int.from_bytes(content[:4], "big")
    if content[4 : 4 + size] != kind.encode() or len(content) < 2 * size:
        raise ValueError(
            "is not a whole public key: copy the line of /etc/ssh/ssh_host_ed25519_key.pub"
        )
    return key


def _ip(address: str, *, wants: str = "an IP address") -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        raise ValueError(f"must be {wants}") from None


def _cluster(name: str) -> str:
    """Accept a name of which systemd makes a unit.

    >>> _cluster("odoo-prod")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: is 'odoo-prod', and systemd reads a dash as a slash: rename the cluster with ...
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name) and "-" in name:
        raise ValueError(
            f"is {name!r}, and systemd reads a dash as a slash: rename the cluster with "
            f"pg_renamecluster VERSION {name} {name.replace('-', '_').strip('_') or 'main'} there"
        )
    return Form(r"[A-Za-z0-9_]+", 63, "letters, digits and underscores")(name)


def _unit(name: str) -> str:
    """Accept a service by the name that systemctl takes for it, too.

    >>> _unit("odoo14"), _unit("odoo-16.0"), _unit("odoo@uno.service")
    ('odoo14.service', 'odoo-16.0.service', 'odoo@uno.service')
    """
    if name.endswith(KINDS):
        raise ValueError(
            f"is {name!r:.80}; it must be a service, with a name that ends in .service"
        )
    whole = name if name.endswith(".service") else f"{name}.service"
    wants = "the name of a systemd service: letters, digits and _ @ . -, a letter or digit first"
    return Form(r"[A-Za-z0-9][A-Za-z0-9_@.-]*\.service", 120, wants)(whole)


def _domain(said: str) -> str:
    """Accept a name of the customers', as DNS compares it: in lower case, and without its last dot.

    >>> _domain("Cliente1.example.com"), _domain("example.com.")
    ('cliente1.example.com', 'example.com')
    >>> _domain("pe\u00f1a.example.com")
    Traceback (most recent call last):
    ValueError: is 'pe\u00f1a.example.com': write it as browsers send it, xn--pea-8ma.example.com
    """
    name = said.lower().removesuffix(".")
    if "*" in name:
        raise ValueError(f"is {said!r:.80}, a wildcard: list each name that customers use instead")
    if not name.isascii():
        raise ValueError(f"is {said!r:.80}: write it as browsers send it{_as_sent(name)}")
    wants = "a domain like shop.example.com: letters, digits and dashes between dots"
    return Form(rf"{LABEL}(\.{LABEL})*", 253, wants)(name)


def _web_address(url: str) -> str:
    """Accept an address that can be asked, with no password in it.

    >>> _web_address("https://hc-ping.com/1"), _web_address("http://[::1]:3001/push")
    ('https://hc-ping.com/1', 'http://[::1]:3001/push')
    >>> _web_address("https://ann:secret@hc-ping.com/1")
    Traceback (most recent call last):
    ValueError: has a user name or a password before its host: leave out all up to the @
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna")
    except ValueError:  # of its port or brackets, or a label that DNS does not take
        host, port = b"", None
    if not host or port == 0:
        raise ValueError("must be an address with a host, and a port from 1 to 65535 if any")
    if "@" in parts.netloc:
        raise ValueError("has a user name or a password before its host: leave out all up to the @")
    return url


def _as_sent(name: str) -> str:
    try:
        return f", {name.encode('idna').decode()}"
    except UnicodeError:
        return " (it begins with xn--)"


def _zone(name: str) -> str:
    """Accept a time zone of the IANA.

    >>> _zone("America/Argentina/Buenos_Aires")
    'America/Argentina/Buenos_Aires'
    >>> _zone("Europe/Madird")
    Traceback (most recent call last):
    ValueError: is 'Europe/Madird', and no zone has that name: did you mean Europe/Madrid?
    """
    if is_zone(name):
        return name
    alike = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
    hint = f"did you mean {alike[0]}?" if alike else "name it like America/Argentina/Buenos_Aires"
    raise ValueError(f"is {name!r:.80}, and no zone has that name: {hint}")


def is_zone(name: str) -> bool:
    """Tell whether this machine knows a time zone; a machine may know none but UTC.

    >>> is_zone("UTC"), is_zone("Mars"), is_zone("../etc/passwd")
    (True, False, False)
    """
    try:
        return name == "UTC" or bool(zoneinfo.ZoneInfo(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _listed(said: object) -> object:
    """Take a word for a list of one.

    >>> _listed("shop.example.com"), _listed(["a", "b"])
    (['shop.example.com'], ['a', 'b'])
    """
    return [said] if isinstance(said, str) else said


def _ip6(address: str) -> str:
    try:
        return str(IPv6Address(address))
    except ValueError:
        raise ValueError("must be an IPv6 address") from None


InstanceName = Annotated[
    str,
    AfterValidator(
        Form(r"[a-z][a-z0-9_]*", 40, "lower-case letters, digits and underscores, a letter first")
    ),
    Field(description="Lower-case letters, digits and underscores."),
]
HostName = Annotated[
    str,
    AfterValidator(
        Form(
            r"[A-Za-z0-9][A-Za-z0-9_.-]*", 64, "letters, digits and . _ -, a letter or digit first"
        )
    ),
]
USER_WORDS = "lower-case letters, digits and _ -, a letter or _ first"
UserName = Annotated[str, AfterValidator(Form(r"[a-z_][a-z0-9_-]*", 32, USER_WORDS))]
LoginName = Annotated[
    str,
    AfterValidator(
        Form(r"[a-z_][a-z0-9_.-]*", 32, "lower-case letters, digits and . _ -, a letter or _ first")
    ),
]
ClusterName = Annotated[str, AfterValidator(_cluster)]
UnitName = Annotated[str, AfterValidator(_unit)]
RoleName = Annotated[
    str,
    AfterValidator(
        Form(r"[a-z_][a-z0-9_]*", 63, "lower-case letters, digits and _, a letter or _ first")
    ),
    AfterValidator(_own_role),
]
DomainName = Annotated[str, AfterValidator(_domain)]
WebAddress = Annotated[
    str,
    AfterValidator(
        Form(r"https?://[!-~]+", 500, "an address that begins with https:// or http://")
    ),
    AfterValidator(_web_address),
]
ProviderName = Annotated[
    str,
    AfterValidator(Form(r"[a-z0-9]+", 60, "a provider of dns-lexicon, like cloudflare")),
]
Language = Literal["en", "es"]
TimeZone = Annotated[str, AfterValidator(_zone)]
# As it was written down where it was known; elsewhere it may not be, which stops no failover.
ZoneName = Annotated[
    str, AfterValidator(Form(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", 80, "the name of a time zone"))
]
Port = Annotated[int, Field(ge=1, le=65535)]
AbsolutePath = Annotated[PurePosixPath, AfterValidator(_absolute)]
LocalPath = Annotated[Path, AfterValidator(_local)]
HostAddress = Annotated[str, AfterValidator(_host_or_ip)]
IpAddress = Annotated[str, AfterValidator(_ip)]
IpAddress6 = Annotated[str, AfterValidator(_ip6)]
HostKey = Annotated[
    str,
    AfterValidator(
        Form(
            r"(ssh-[a-z0-9-]+|ecdsa-[a-z0-9-]+) [A-Za-z0-9+/]+=*( .*)?",
            4000,
            "a public key: a kind like ssh-ed25519, a space, and letters, digits and + / =",
        )
    ),
    AfterValidator(_whole_key),
]
# One may stand there without its brackets.
Listed: TypeAlias = Annotated[tuple[T, ...], BeforeValidator(_listed)]
