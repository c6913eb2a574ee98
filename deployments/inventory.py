"""The inventory: one YAML file that names every instance, checked whole at the door."""

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks import users
from blocks.cluster import Cluster
from blocks.errors import Refused
from blocks.host import Host
from blocks.instance import (
    Alarms,
    Certificate,
    Dns,
    Filestore,
    Guard,
    OdooInstance,
    Place,
    Replication,
    Schedules,
    Synchronous,
)
from blocks.names import (
    TRIED,
    AbsolutePath,
    ClusterName,
    DomainName,
    HostAddress,
    HostKey,
    HostName,
    InstanceName,
    IpAddress,
    IpAddress6,
    Listed,
    LocalPath,
    LoginName,
    Port,
    RoleName,
    UserName,
)
from blocks.odoo import Odoo
from deployments import twins
from deployments.secrets import Secrets

OWN_USERS = "Shared by several instances; none means a user of its own for each."
USER_FIELDS = {"odoo_user": "Odoo", "postgres_user": "PostgreSQL"}


class Entry(BaseModel):
    """Unknown keys are mistakes, not wishes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HostEntry(Entry):
    """A server, as the inventory says it."""

    name: HostName | None = None
    address: HostAddress
    peer_address: IpAddress | None = None
    public_address: IpAddress | None = None
    public_address6: IpAddress6 | None = None
    port: Port = 22
    user: LoginName = "root"
    key_file: LocalPath | None = None
    host_key: HostKey | None = None

    def block(self, default_name: str) -> Host:
        """Make the block; the address that the other server sees is this one unless said."""
        peer = self.peer_address or self.address
        try:
            ip_address(peer)
        except ValueError:
            raise ValueError(
                f"peer_address: is needed, because {self.address} is no IP address"
            ) from None
        return Host(
            name=self.name or default_name,
            address=self.address,
            peer_address=peer,
            public_address=self.public_address,
            public_address6=self.public_address6,
            port=self.port,
            user=self.user,
            key_file=self.key_file,
            host_key=self.host_key,
        )


class RecoveryEntry(HostEntry):
    """The recovery server, and where it keeps what it replicates."""

    odoo_user: UserName | None = Field(default=None, description=OWN_USERS)
    postgres_user: UserName | None = Field(default=None, description=OWN_USERS)
    directory: AbsolutePath = Field(
        default=PurePosixPath("/opt/odoouser/respaldo_filestore"),
        description="Where it keeps the files: one folder for each instance.",
    )


class RecoveryPorts(Entry):
    """The ports of an instance on the recovery server; its users, if Relevo is not to choose."""

    postgres_port: Port = Field(description="The port of its cluster there.")
    http_port: Port = Field(description="Odoo's http_port there.")
    longpolling_port: Port = Field(description="gevent_port or longpolling_port there.")
    odoo_user: UserName | None = Field(default=None, description=OWN_USERS)
    postgres_user: UserName | None = Field(default=None, description=OWN_USERS)


class PostgresEntry(Entry):
    """The cluster of an origin, as pg_lsclusters there names it."""

    version: int = Field(ge=TRIED[0])
    name: ClusterName = "main"
    port: Port = 5432


class ReplicationEntry(Entry):
    """Names of the roles and amounts of WAL; the passwords are among the secrets."""

    user: RoleName = "replica_user"
    rewind_user: RoleName = "replica_rewind"
    wal_keep_mb: int = Field(default=1024, ge=64)
    slot_cap_mb: int = Field(default=16384, ge=128)
    quarantine_days: int = Field(default=90, ge=1)
    synchronous: Synchronous = "off"
    go_on_seconds: int = Field(default=30, ge=5, le=3600)


class DnsEntry(Entry):
    """The DNS provider; its tokens are among the secrets."""

    provider: str = Field(pattern=r"^[a-z0-9]+$")
    zone: DomainName
    ttl: int = Field(default=60, ge=1)
    servers: tuple[IpAddress, ...] = ()


class InstanceEntry(Entry):
    """One Odoo server."""

    host: HostEntry
    postgres: PostgresEntry
    odoo: Odoo = Odoo()
    recovery: RecoveryPorts
    domains: Listed[DomainName] = ()
    dns: DnsEntry | None = None
    certificate: Certificate | None = None
    certificates: dict[DomainName, Certificate] = Field(default_factory=dict)
    filestore: Filestore = Filestore()
    schedules: Schedules = Schedules()
    alarms: Alarms = Alarms()
    replication: ReplicationEntry = ReplicationEntry()
    guard: Guard = Guard()


class Document(Entry):
    """The whole file."""

    recovery: RecoveryEntry
    defaults: dict[str, Any] = Field(default_factory=dict)
    instances: dict[InstanceName, InstanceEntry]


class StrictLoader(yaml.SafeLoader):
    """YAML without its trap of taking the last of two equal keys."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Look at the keys as they were written: what `<<` brings in is no second one."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a value that begins with { or [ wants quotes", key.start_mark
                )
        keys = Counter((key.tag, key.value) for key, _ in node.value)
        if doubled := [name for (_, name), count in keys.items() if count > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(doubled)}: stands there twice", node.start_mark
            )
        return node


def read(path: Path) -> Document:
    """Read and check an inventory; raise Refused with every mistake in it."""
    try:
        raw = yaml.load(path.read_text(), Loader=StrictLoader)  # noqa: S506  # a SafeLoader
    except FileNotFoundError:
        raise Refused(
            f"there is no inventory {path}",
            hint="copy inventory.example.yaml, fill it in, and name it with RELEVO_INVENTORY",
        ) from None
    except OSError as error:
        raise Refused(
            f"the inventory {path} cannot be read: {error.strerror}",
            hint="run this as the owner of that file, or as root",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refused(path, [" ".join(str(error).split())]) from None
    try:
        document = Document.model_validate(_with_defaults(raw))
    except ValidationError as error:
        raise _refused(path, sorted(_sentences(error))) from None
    if clashes := list(_clashes(document)):
        raise _refused(path, clashes)
    return document


def _refused(path: Path, mistakes: list[str]) -> Refused:
    return Refused(
        "\n".join(f"{path}: {mistake}" for mistake in mistakes),
        hint="mend the inventory; nothing was changed",
    )


def _with_defaults(raw: object) -> object:
    """Give each instance what `defaults` says and it does not."""
    if not isinstance(raw, dict) or not isinstance(raw.get("defaults"), dict):
        return raw
    instances = raw.get("instances")
    if not isinstance(instances, dict):
        return raw
    merged = {name: _merge(raw["defaults"], entry) for name, entry in instances.items()}
    return {**raw, "instances": merged}


def _merge(under: object, over: object) -> object:
    """
    >>> _merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{key: _merge(under.get(key), over[key]) for key in over}}
    return over


def _sentences(error: ValidationError) -> Iterator[str]:
    """Say each mistake with the entry and the field it is in."""
    for each in error.errors(include_url=False):
        parts = (str(part) for part in each["loc"] if part != "[key]")
        place = ".".join(part if part.isprintable() else repr(part) for part in parts)
        said = {
            "extra_forbidden": "is no key that Relevo knows",
            "missing": "is missing",
            "string_pattern_mismatch": f"is not of the form {each.get('ctx', {}).get('pattern')}",
        }.get(each["type"], each["msg"].removeprefix("Value error, "))
        yield f"{place}: {said}"


def _clashes(document: Document) -> Iterator[str]:
    """Find instances that would stand on each other's feet."""
    ports = {document.recovery.port: "recovery.port", 80: "nginx", 443: "nginx"}
    for name, entry in document.instances.items():
        for field, port in entry.recovery.model_dump(exclude=set(USER_FIELDS)).items():
            place = f"instances.{name}.recovery.{field}"
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
            f"instances.{name}.alarms.sync_minutes: wants two copies at least, which are "
            f"schedules.filestore_seconds ({apart}) apart"
        )


def _namesakes(document: Document) -> Iterator[str]:
    """Find two servers of one name, and a customer's name that leads to two instances."""
    hosts = {document.recovery.name or "recovery": document.recovery.address}
    domains: dict[str, str] = {}
    shown = list[tuple[str, HostEntry]]()
    if any(entry.domains for entry in document.instances.values()):
        shown.append(("recovery", document.recovery))
    shown += [(f"instances.{n}.host", e.host) for n, e in document.instances.items() if e.domains]
    for place, server in shown:
        if server.public_address is None and server.peer_address not in {None, server.address}:
            yield f"{place}.public_address: is needed, because domains are to point at this server"
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
        yield f"instances.{name}.replication.rewind_user: wants another role than user"
    folders = [*entry.odoo.sources, entry.odoo.data_dir]
    for index, folder in enumerate(folders):
        others = folders[:index] + folders[index + 1 :]
        if around := next((other for other in others if folder.is_relative_to(other)), None):
            yield f"instances.{name}.odoo: {folder} lies in {around} and would be copied twice"


def instances(document: Document, secrets: Secrets) -> list[OdooInstance]:
    """Make the blocks of all instances."""
    have = Counter(user for name in document.instances for user in _users(document, name))
    return [
        _instance(document, name, entry, secrets, have)
        for name, entry in document.instances.items()
    ]


def _users(document: Document, name: str) -> tuple[str, str]:
    """The system users of an instance on the recovery host: Odoo's, and its cluster's."""
    mine, all_ours = document.instances[name].recovery, document.recovery
    return (
        mine.odoo_user or all_ours.odoo_user or users.odoo_user(name),
        mine.postgres_user or all_ours.postgres_user or users.cluster_user(name),
    )


def _instance(
    document: Document, name: str, entry: InstanceEntry, secrets: Secrets, have: Counter[str]
) -> OdooInstance:
    directory = document.recovery.directory / name
    mine, both = secrets.of(name), _users(document, name)
    return OdooInstance(
        name=name,
        origin=Place(
            kind="origin",
            host=entry.host.block(name),
            cluster=Cluster(**entry.postgres.model_dump()),
            odoo=entry.odoo,
        ),
        recovery=_recovery(document.recovery, name, entry, *both),
        directory=directory,
        shared_users=tuple(
            sorted({u for u in both if have[u] > 1 or u == users.SHARED_CLUSTER_USER})
        ),
        replication=Replication(
            **entry.replication.model_dump(),
            password=mine.replication,
            rewind_password=mine.rewind,
        ),
        signing_key=mine.signing,
        next_signing_key=mine.signing_next,
        retired_keys=mine.retired,
        guard=entry.guard,
        domains=entry.domains,
        dns=Dns(**entry.dns.model_dump(), options=dict(mine.dns)) if entry.dns else None,
        certificate=entry.certificate,
        certificates=entry.certificates,
        filestore=entry.filestore,
        schedules=entry.schedules,
        alarms=entry.alarms,
    )


def _recovery(
    recovery: RecoveryEntry, name: str, entry: InstanceEntry, odoo_user: str, owner: str
) -> Place:
    directory = recovery.directory / name
    return Place(
        kind="recovery",
        host=recovery.block("recovery"),
        cluster=Cluster(
            version=entry.postgres.version,
            name=name,
            port=entry.recovery.postgres_port,
            owner=owner,
            sockets=users.sockets(name, owner),
        ),
        odoo=Odoo(
            unit=f"odoo_{name}.service",
            user=odoo_user,
            config=directory / "odoo.conf",
            data_dir=directory / "data_dir",
            python=directory / "venv" / "bin" / "python",
            http_port=entry.recovery.http_port,
            longpolling_port=entry.recovery.longpolling_port,
        ),
    )
