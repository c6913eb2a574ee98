"""Instances of one server that stand on each other's feet there, by whatever name it is called."""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import combinations

from deployments.inventory import Document, HostEntry, InstanceEntry


def find(document: Document) -> Iterator[str]:
    """Say which instances of one server share what only one of them can have."""
    for (name, one), (other, two) in combinations(document.instances.items(), 2):
        if are_one(one.host, two.host):
            for field, value in _shared(two, one):
                yield f"instances.{other}.{field}: {value} on this server is {name}'s already"
    for name, entry in document.instances.items():
        if are_one(entry.host, document.recovery):
            address = entry.host.address
            yield f"instances.{name}.host.address: {address} is the recovery server itself"


def are_one(one: HostEntry, other: HostEntry) -> bool:
    """Tell whether two entries name one server, be it once by name and once by number.

    Behind one public address there may be several, whose sshd has other ports.
    """
    peers = {_plain(each.peer_address or each.address) for each in (one, other)}
    ways = {(_plain(each.address), each.port) for each in (one, other)}
    return len(peers) == 1 or len(ways) == 1


def _plain(address: str) -> str:
    """Write an address in one way.

    >>> _plain("VPS1.example.com."), _plain("2001:DB8:0::1")
    ('vps1.example.com', '2001:db8::1')
    """
    try:
        return str(ip_address(address))
    except ValueError:
        return address.lower().removesuffix(".")


def _cluster(entry: InstanceEntry) -> str:
    return f"cluster {entry.postgres.version}/{entry.postgres.name}"


def _shared(one: InstanceEntry, other: InstanceEntry) -> Iterator[tuple[str, object]]:
    """Name the fields in which two instances of one server must differ, and do not."""
    mine, theirs = one.odoo, other.odoo
    pairs: dict[str, tuple[object, object]] = {
        "postgres.name": (_cluster(one), _cluster(other)),
        "postgres.port": (one.postgres.port, other.postgres.port),
        "odoo.unit": (mine.unit, theirs.unit),
        "odoo.config": (mine.config, theirs.config),
        "odoo.http_port": (mine.http_port, theirs.http_port),
    }
    for field, (here, there) in pairs.items():
        if here == there:
            yield field, here
    if mine.data_dir.is_relative_to(theirs.data_dir) or theirs.data_dir.is_relative_to(
        mine.data_dir
    ):
        yield "odoo.data_dir", mine.data_dir
