"""A server as it is: its name, its addresses, its clock, and who listens there."""

import base64
import socket
import time
from dataclasses import dataclass

from blocks.answers import understood
from blocks.errors import CommandFailed
from blocks.host import Host
from blocks.shell import Shell
from tasks.discovery import addresses, listening
from tasks.discovery.addresses import Addresses
from tasks.discovery.listening import Listener, Running
from tasks.postgres import commands, lsclusters
from tasks.recovery import allotted

MOST_BYTES = 4 << 20
ASK_SECONDS = 30
MOST_ODOOS = 8
SLOW_SECONDS = 5
# Argument: the address of the recovery host; of nobody when it is not known.
FACTS = """
echo "hostname=$(hostname)"
echo "clock=$(date +%s)"
echo "addresses=$(ip -j addr | base64 -w0)"
echo "route=$(ip -j route get "${1:-192.0.2.1}" 2>/dev/null | base64 -w0)"
"""
LISTENERS = """
said=$(ss -Hltnp)
printf '%s\\n' "$said"
pids=$(printf '%s\\n' "$said" | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -un | head -n 500)
for pid in $pids; do
    echo "process=$pid"
    echo "cgroup=$(tail -n 1 "/proc/$pid/cgroup" 2>/dev/null)"
    echo "words=$(base64 -w0 "/proc/$pid/cmdline" 2>/dev/null | head -c 8000)"
done
"""
SERVICES = ("systemctl", "show", "*.service", "--property=Id,ExecStart")


@dataclass(frozen=True)
class Facts:
    """What a server says of itself; `late` is how many seconds its clock is away from ours."""

    hostname: str
    late: int
    addresses: Addresses


@dataclass(frozen=True)
class Seen:
    """Who listens, and the Odoos among them; `up` is false of those that do not run."""

    listeners: tuple[Listener, ...]
    odoos: tuple[Running, ...]
    up: bool


def facts(shell: Shell, peer: str) -> Facts:
    """Ask a server what it is called, and with which address it would call another one."""
    begun = time.time()
    argv = ("sh", "-c", FACTS, "facts", peer)
    output = shell.run(argv, timeout_seconds=ASK_SECONDS, limit_bytes=MOST_BYTES).stdout
    with understood(f"what {shell.host} says of itself"):
        told = dict(line.partition("=")[::2] for line in output.splitlines())
        clock = int(told["clock"])
        late = max(begun - clock - 1, 0) + min(time.time() - clock, 0)
        found = addresses.read(_unpacked(told["addresses"]), _unpacked(told["route"]))
    return Facts(told["hostname"].strip(), round(late), found)


def _unpacked(output: str) -> str:
    return base64.b64decode(output).decode(errors="replace")


def seen(shell: Shell) -> Seen:
    """Find the Odoos of a server: by what listens, else by the units that would start one."""
    argv = ("sh", "-c", LISTENERS, "listeners")
    output = shell.run(argv, timeout_seconds=ASK_SECONDS, limit_bytes=MOST_BYTES).stdout
    with understood(f"who listens on {shell.host}"):
        sockets = tuple(listening.sockets(output.partition("process=")[0]))
        odoos = listening.odoos(sockets, listening.processes(output))
    if odoos:
        return Seen(sockets, tuple(odoos[:MOST_ODOOS]), up=True)
    services = shell.run(SERVICES, timeout_seconds=ASK_SECONDS, limit_bytes=MOST_BYTES).stdout
    with understood(f"which services {shell.host} has"):
        units = list(listening.planned(services))[:MOST_ODOOS]
    return Seen(sockets, tuple(Running(unit, ()) for unit in units), up=False)


def clusters(shell: Shell) -> list[lsclusters.Listed]:
    """List the clusters; none where Debian's tools are not installed."""
    try:
        output = shell.run(
            commands.list_clusters(), user="postgres", timeout_seconds=ASK_SECONDS,
            limit_bytes=MOST_BYTES,
        ).stdout  # fmt: skip
    except CommandFailed as error:
        if error.status is None:
            raise
        return []
    with understood(f"what pg_lsclusters on {shell.host} says"):
        return lsclusters.parse(output)


def introduced(host: Host) -> Host:
    """Give a server the name and the address by which others know it."""
    said = facts(host.shell(), "")
    peer = said.addresses.among(known_here(host.address)) or said.addresses.to_peer
    peer = peer or host.peer_address
    name = said.hostname if addresses.is_ip(host.address) else host.name
    return Host.model_validate({**dict(host), "name": name, "peer_address": peer})


def known_here(address: str) -> list[str]:
    """Give the addresses that this machine knows under a name; an address is its own.

    >>> known_here("10.0.0.1")
    ['10.0.0.1']
    """
    if addresses.is_ip(address):
        return [address]
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(each[4][0]) for each in found]


def taken_ports(shell: Shell) -> set[int]:
    """Name the ports that nothing new could have: in use, a cluster's, or noted for an instance."""
    output = shell.run(("ss", "-Hltn"), timeout_seconds=ASK_SECONDS, limit_bytes=MOST_BYTES).stdout
    with understood(f"who listens on {shell.host}"):
        busy = {each.port for each in listening.sockets(output)}
    noted = {port for each in allotted.known(shell).values() for port in each.values()}
    return busy | noted | {each.port for each in clusters(shell)}
