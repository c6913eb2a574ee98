"""Who runs what on a host, asked of the host: attacks depend on no layout."""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.lab.machine import FIND_SOCKET, Machine
from tests.oracles import Pair

BASE = "/opt/odoouser"
# A key may lie in an instance's own folder or in the home of a user; its name or folder says whose.
FIND_KEYS = (
    f"grep -rlsF 'PRIVATE KEY' {BASE}/.ssh {BASE}/respaldo_filestore/*/ssh "
    "/home/odoo_*/.ssh /var/lib/odoo_*/.ssh /etc/relevo 2>/dev/null || true"
)


@dataclass(frozen=True)
class Identity:
    """The system users of one instance on the recovery host."""

    cluster: str
    odoo: str

    @property
    def users(self) -> set[str]:
        return {self.cluster, self.odoo}


def of(pair: Pair) -> Identity:
    """Ask the recovery host who owns an instance's cluster, and as whom its Odoo runs."""
    show = ("systemctl", "show", f"odoo_{pair.name}.service", "--property=User", "--value")
    listed = [line.split() for line in pair.recovery.run("pg_lsclusters", "-h").stdout.splitlines()]
    owner = next(words[4] for words in listed if words[1] == pair.name)
    return Identity(cluster=owner, odoo=pair.recovery.run(*show).stdout.strip())


def data_directory(pair: Pair) -> PurePosixPath:
    """The data directory of an instance's cluster on the recovery host."""
    lines = pair.recovery.run("pg_lsclusters", "-h").stdout.splitlines()
    return PurePosixPath(next(line.split()[5] for line in lines if line.split()[1] == pair.name))


def keys(pair: Pair) -> list[str]:
    """The private keys of an instance on the recovery host, wherever they lie."""
    return [path for path in _lines(pair.recovery, FIND_KEYS) if pair.name in path]


def conf(pair: Pair) -> str:
    """The odoo.conf with which an instance is served on the recovery host."""
    show = ("systemctl", "show", f"odoo_{pair.name}.service", "--property=ExecStart", "--value")
    found = re.search(r" -c (\S+)", pair.recovery.run(*show).stdout)
    assert found, "its unit names no configuration"
    return found[1]


def sockets(pair: Pair) -> str:
    """The folder of the socket of an instance's cluster on the recovery host."""
    script = f'{FIND_SOCKET}\nfind_socket "$1"\necho "$sockets"'
    return pair.recovery.run("sh", "-c", script, "sockets", str(pair.port)).stdout.strip()


def channel(pair: Pair) -> list[str]:
    """How the engine of an instance calls its origin: ssh with its options, and the name there."""
    find = ("find", f"{BASE}/respaldo_filestore/{pair.name}", "-maxdepth", "2", "-name")
    path = pair.recovery.run(*find, "settings.json").stdout.splitlines()[0]
    words: list[str] = json.loads(pair.recovery.read(path))["channel"]
    return words[:-1]


def _lines(machine: Machine, command: str) -> list[str]:
    return machine.run("sh", "-c", command).stdout.splitlines()
