"""How to log in to a server that was named on the command line: as it says, or as ssh knows."""

import getpass
import re
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import Refused
from tasks.programs import bounded

NAMED = re.compile(
    r"(?:(?P<user>[a-z_][a-z0-9_.-]*)@)?"
    r"(?:\[(?P<six>[0-9a-fA-F:]+)\]|(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*))(?::(?P<port>\d{1,5}))?"
)
ASK_SECONDS, MOST_BYTES = 20, 1 << 18
PORT = 22
OF_SSH = re.compile(r"id_(rsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|dsa)")
OURS = Path("/etc/relevo/id_ed25519")  # of docs/install.md
NO_WAY = ("proxyjump", "proxycommand")


@dataclass(frozen=True)
class Way:
    """Where and as whom to log in, and what the server is called."""

    called: str
    address: str
    port: int
    user: str
    key_file: Path | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.address} port {self.port}"


@dataclass(frozen=True)
class Defaults:
    """What the inventory says of all its servers, and this command of those that it names."""

    user: str = ""
    port: int = PORT
    key_file: Path | None = None


def find(named: str, defaults: Defaults) -> Way:
    """Put together what the command line, ssh's own configuration and the inventory say."""
    found = NAMED.fullmatch(named)
    if not found:
        raise Refused(
            f"{named!r:.80} names no server",
            hint="write HOST, USER@HOST or USER@HOST:PORT; an IPv6 address in brackets",
        )
    host = found["six"] or found["host"]
    told = read(_ask_ssh(host))
    if way := next((name for name in NO_WAY if told.get(name, ["none"])[0] != "none"), ""):
        raise Refused(
            f"ssh reaches {host} by {way} {told[way][0][:80]}, and Relevo logs in directly",
            hint="let this machine reach its sshd, or run this where it is reached",
        )
    return Way(
        called=host,
        address=told.get("hostname", [host])[0],
        port=int(found["port"] or _other(told, "port", str(PORT)) or defaults.port),
        user=found["user"]
        or _other(told, "user", getpass.getuser())
        or defaults.user
        or getpass.getuser(),
        key_file=defaults.key_file or key_file(told.get("identityfile", [])),
    )


def _ask_ssh(host: str) -> str:
    """Ask ssh on this machine; it connects to nobody."""
    try:
        done = bounded.run(("ssh", "-G", "--", host), seconds=ASK_SECONDS, limit=MOST_BYTES)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Refused(f"ssh -G {host} on this machine: {error}", hint="run that by hand") from error
    if done.status:
        raise Refused(
            f"ssh -G {host} on this machine fails: {done.said[:300]}",
            hint="correct what it names in ~/.ssh/config or /etc/ssh/ssh_config",
        )
    return done.text


def read(text: str) -> dict[str, list[str]]:
    r"""Read what `ssh -G` says.

    >>> read("user sysop\nport 5253\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b\n")
    {'user': ['sysop'], 'port': ['5253'], 'identityfile': ['~/.ssh/a', '~/.ssh/b']}
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


def _other(told: dict[str, list[str]], name: str, usual: str) -> str:
    """What ssh was told, and not what it takes for lack of a word."""
    said = told.get(name, [usual])[0]
    return "" if said == usual else said


def key_file(named: list[str]) -> Path | None:
    """Choose the key that ssh's configuration names; ssh's own choice needs no name.

    >>> key_file(["~/.ssh/id_rsa", "/nowhere/key"])
    """
    paths = [Path(name).expanduser() for name in named if not OF_SSH.fullmatch(Path(name).name)]
    return next((path for path in (*paths, OURS) if path.is_file()), None)
