"""The inventory: what its entries may say, and the instances that are made of them."""

import zoneinfo
from collections import Counter
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any

import tzlocal
from pydantic import BaseModel, ConfigDict, Field

from blocks import users
from blocks.cluster import Cluster
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
    Language,
    Listed,
    LocalPath,
    LoginName,
    Port,
    ProviderName,
    RoleName,
    TimeZone,
    UserName,
    is_zone,
)
from blocks.odoo import Odoo
from blocks.time_machine import TimeMachine
from deployments import ports
from deployments.secrets import Secrets

ALLOTTED = "None: `relevo apply` has that server allot one, and keeps it in ports.yaml."
OWN_USERS = "Shared by several instances; none means a user of its own for each."


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
                f"peer_address: is needed, because {self.address} is not an IP address"
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

    postgres_port: Port | None = Field(
        default=None, description=f"The port of its cluster there. {ALLOTTED}"
    )
    http_port: Port | None = Field(default=None, description=f"Odoo's http_port there. {ALLOTTED}")
    longpolling_port: Port | None = Field(
        default=None, description=f"gevent_port or longpolling_port there. {ALLOTTED}"
    )
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

    provider: ProviderName
    zone: DomainName
    ttl: int = Field(default=60, ge=1)
    servers: tuple[IpAddress, ...] = ()


class InstanceEntry(Entry):
    """One Odoo server."""

    host: HostEntry
    postgres: PostgresEntry
    odoo: Odoo = Odoo()
    recovery: RecoveryPorts = RecoveryPorts()
    domains: Listed[DomainName] = ()
    dns: DnsEntry | None = None
    certificate: Certificate | None = None
    certificates: dict[DomainName, Certificate] = Field(default_factory=dict)
    filestore: Filestore = Filestore()
    time_machine: TimeMachine | None = None
    schedules: Schedules = Schedules()
    alarms: Alarms = Alarms()
    replication: ReplicationEntry = ReplicationEntry()
    guard: Guard = Guard()


class Reading(Entry):
    """How people read what Relevo says of all instances."""

    language: Language = Field(
        default="en",
        description="In which plans, forms, reports, the board, mails and the shell speak: "
        "English or Spanish. Logs, events and JSON stay English.",
    )
    timezone: TimeZone | None = Field(
        default=None,
        description="In which plans, reports, the board and mails say a time, as the IANA names "
        "it: America/Argentina/Buenos_Aires. None: that of the machine which reads this, or UTC.",
    )


class Document(Reading):
    """The whole file."""

    recovery: RecoveryEntry
    defaults: dict[str, Any] = Field(default_factory=dict)
    instances: dict[InstanceName, InstanceEntry]


def instances(document: Document, secrets: Secrets) -> list[OdooInstance]:
    """Make the blocks of all instances."""
    document = ports.filled(document, secrets)
    have = Counter(user for name in document.instances for user in _users(document, name))
    zoned = document.model_copy(update={"timezone": document.timezone or own_zone()})
    return [
        _instance(zoned, name, entry, secrets, have) for name, entry in document.instances.items()
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
        time_machine=entry.time_machine,
        schedules=entry.schedules,
        alarms=entry.alarms,
        language=document.language,
        timezone=document.timezone or "UTC",
    )


def own_zone() -> str:
    """Name the zone of this machine; UTC where it names none that the IANA has."""
    try:
        found = tzlocal.get_localzone_name() or "UTC"  # None where there is no /etc/localtime
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
    return found if is_zone(found) else "UTC"


def _recovery(
    recovery: RecoveryEntry, name: str, entry: InstanceEntry, odoo_user: str, owner: str
) -> Place:
    directory, numbers = recovery.directory / name, ports.given(entry.recovery)
    return Place(
        kind="recovery",
        host=recovery.block("recovery"),
        cluster=Cluster(
            version=entry.postgres.version,
            name=name,
            port=numbers["postgres_port"],
            owner=owner,
            sockets=users.sockets(name, owner),
        ),
        odoo=Odoo(
            unit=f"odoo_{name}.service",
            user=odoo_user,
            config=directory / "odoo.conf",
            data_dir=directory / "data_dir",
            python=directory / "venv" / "bin" / "python",
            http_port=numbers["http_port"],
            longpolling_port=numbers["longpolling_port"],
        ),
    )
