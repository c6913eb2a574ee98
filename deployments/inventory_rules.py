"""What the entries of an inventory must not say together."""

from collections.abc import Iterator

from deployments import twins
from deployments.inventory import Document, HostEntry, InstanceEntry, RecoveryEntry, RecoveryPorts

USER_FIELDS = {"odoo_user": "Odoo", "postgres_user": "PostgreSQL"}


def clashes(document: Document) -> Iterator[str]:
    """Find instances that would stand on each other's feet."""
    ports = {document.recovery.port: "recovery.port", 80: "nginx", 443: "nginx"}
    for name, entry in document.instances.items():
        for field, port in entry.recovery.model_dump(exclude=set(USER_FIELDS)).items():
            place = f"instances.{name}.recovery.{field}"
            if port is None:
                continue
            if port in ports:
                yield f"{place}: port {port} is {ports[port]}'s already"
            ports.setdefault(port, place)
        try:
            entry.host.block(name)
        except ValueError as error:
            yield f"instances.{name}.host.{error}"
        yield from _root_users(f"instances.{name}.recovery", entry.recovery)
        yield from _overlaps(name, entry)
        yield from _impatience(name, entry)
        for domain in entry.certificates.keys() - {*entry.domains}:
            yield f"instances.{name}.certificates.{domain}: is none of the instance's domains"
    try:
        document.recovery.block("recovery")
    except ValueError as error:
        yield f"recovery.{error}"
    yield from _root_users("recovery", document.recovery)
    yield from _without_public_address(document)
    yield from _namesakes(document)
    yield from twins.find(document)


def _root_users(place: str, entry: RecoveryEntry | RecoveryPorts) -> Iterator[str]:
    for field, what in USER_FIELDS.items():
        if getattr(entry, field) == "root":
            yield f"{place}.{field}: {what} never runs as root"


def _impatience(name: str, entry: InstanceEntry) -> Iterator[str]:
    """Find an alarm of silence that would be told between two copies."""
    apart = entry.schedules.filestore_seconds
    if entry.alarms.sync_minutes * 60 < 2 * apart:
        yield (
            f"instances.{name}.alarms.sync_minutes: must cover at least two copies, which are "
            f"schedules.filestore_seconds ({apart}) apart"
        )


def _without_public_address(document: Document) -> Iterator[str]:
    """Find servers to which domains are to point, and of which only an inner address is known."""
    shown = list[tuple[str, HostEntry]]()
    if any(entry.domains for entry in document.instances.values()):
        shown.append(("recovery", document.recovery))
    shown += [(f"instances.{n}.host", e.host) for n, e in document.instances.items() if e.domains]
    for place, server in shown:
        if server.public_address is None and server.peer_address not in {None, server.address}:
            yield f"{place}.public_address: is needed, because domains are to point at this server"


def _namesakes(document: Document) -> Iterator[str]:
    """Find two servers of one name, and a customer's name that leads to two instances."""
    hosts = {document.recovery.name or "recovery": document.recovery.address}
    domains: dict[str, str] = {}
    for name, entry in document.instances.items():
        host = entry.host.name or name
        if hosts.setdefault(host, entry.host.address) != entry.host.address:
            yield f"instances.{name}.host.name: {host} is the name of {hosts[host]} already"
        for domain in entry.domains:
            if domains.setdefault(domain, name) != name:
                yield f"instances.{name}.domains: {domain} is {domains[domain]}'s already"


def _overlaps(name: str, entry: InstanceEntry) -> Iterator[str]:
    """Find roles that are one, and folders that would be copied twice."""
    if entry.replication.user == entry.replication.rewind_user:
        yield f"instances.{name}.replication.rewind_user: must be another role than user"
    folders = [*entry.odoo.sources, entry.odoo.data_dir]
    for index, folder in enumerate(folders):
        others = folders[:index] + folders[index + 1 :]
        if around := next((other for other in others if folder.is_relative_to(other)), None):
            yield f"instances.{name}.odoo: {folder} lies in {around} and would be copied twice"
