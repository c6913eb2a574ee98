"""An instance: one Odoo server and its replica, the argument of nearly every flow."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from blocks.cluster import Cluster
from blocks.host import Host
from blocks.names import (
    AbsolutePath,
    DomainName,
    InstanceName,
    IpAddress,
    Language,
    ProviderName,
    RoleName,
    UserName,
    WebAddress,
    ZoneName,
)
from blocks.odoo import Odoo
from blocks.runtime import Block
from blocks.time_machine import TimeMachine


class Place(BaseModel):
    """A server with the cluster and the Odoo of one instance: the origin or the recovery."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["origin", "recovery"] = Field(description="Places never change, roles do.")
    host: Host = Field(description="The server.")
    cluster: Cluster = Field(description="Its PostgreSQL cluster.")
    odoo: Odoo = Field(description="Its Odoo.")

    def __str__(self) -> str:
        return self.host.name


def _policy(value: object) -> object:
    """YAML reads off as false, and on as true.

    >>> _policy(False), _policy("wait")
    ('off', 'wait')
    """
    if value is True:
        raise ValueError("must say what happens without the recovery host: wait, or go_on")
    return "off" if value is False else value


Synchronous = Annotated[Literal["off", "wait", "go_on"], BeforeValidator(_policy)]


class Replication(BaseModel):
    """The two roles that replicate, and how much WAL is kept for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: RoleName = Field(
        default="replica_user", description="The role for streaming replication."
    )
    password: SecretStr = Field(description="Its password.")
    rewind_user: RoleName = Field(default="replica_rewind", description="The role of pg_rewind.")
    rewind_password: SecretStr = Field(description="Its password.")
    wal_keep_mb: int = Field(default=1024, ge=64, description="WAL kept for a rewind, in MB.")
    slot_cap_mb: int = Field(
        default=16384, ge=128, description="WAL that a slot may retain, in MB."
    )
    quarantine_days: int = Field(
        default=90, ge=1, description="Days that a diverged data directory is kept."
    )
    synchronous: Synchronous = Field(
        default="off",
        description="Whether a commit at the origin waits until the recovery host has it on disk. "
        "While the recovery host is down: wait, for as long as it takes; or go_on without it, "
        "after go_on_seconds.",
    )
    go_on_seconds: int = Field(
        default=30,
        ge=5,
        le=3600,
        description="Seconds after which the policy go_on lets commits go on.",
    )


class Guard(BaseModel):
    """What keeps a returning origin from serving when the recovery host has the write right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unanswered: Literal["serve", "hold"] = Field(
        default="serve",
        description="At boot, when the recovery host does not answer: serve, if this origin had "
        "the write right when it went down; or hold, until it answers.",
    )
    wait_seconds: int = Field(
        default=15, ge=0, le=600, description="How long a boot waits for an answer."
    )


class Dns(BaseModel):
    """Which provider answers for the domains; the options are those of dns-lexicon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: ProviderName = Field(description="A provider of dns-lexicon.")
    zone: DomainName = Field(description="The zone that holds the records.")
    ttl: int = Field(default=60, ge=1, description="Seconds that a record may be cached.")
    servers: tuple[IpAddress, ...] = Field(
        default=(),
        description="Name servers to ask what customers get; none means those of the zone.",
    )
    options: dict[str, SecretStr] = Field(
        default_factory=dict, description="The provider's own options, tokens among them."
    )


class Certificate(BaseModel):
    """A TLS certificate of nginx at the origin, copied ahead to the recovery host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain: AbsolutePath = Field(description="fullchain.pem at the origin.")
    key: AbsolutePath = Field(description="privkey.pem at the origin.")


class Filestore(BaseModel):
    """How the files follow, and what happens to deleted ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retention_days: int = Field(default=30, ge=1, description="Days to keep the trash.")
    max_deleted_share: float = Field(
        default=0.1, gt=0, le=1, description="A pass that deletes a larger share is refused."
    )
    grace_hours: float = Field(
        default=24,
        ge=0,
        description="Hours before a file that no attachment names goes to the trash.",
    )
    scrub_days: int = Field(
        default=30, ge=1, description="Days within which every file is read and verified again."
    )
    sessions: bool = Field(
        default=True, description="Copy the sessions too: users stay logged in after a failover."
    )


class Schedules(BaseModel):
    """How often what is copied, in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filestore_seconds: int = Field(default=300, ge=30, description="Between filestore passes.")
    reconcile_seconds: int = Field(
        default=21600, ge=300, description="Between comparisons of the whole filestore."
    )
    sources_seconds: int = Field(default=43200, ge=60, description="Between passes of the sources.")
    requirements_seconds: int = Field(
        default=43200, ge=60, description="Between passes of the Python requirements."
    )
    build_seconds: int = Field(
        default=86400,
        ge=3600,
        description="Between builds of the service: odoo.conf, packages, certificate, and a test.",
    )
    check_seconds: int = Field(default=600, ge=60, description="Between checks.")
    drill_seconds: int = Field(default=0, ge=0, description="Between drills; 0: only on demand.")

    @model_validator(mode="before")
    @classmethod
    def _without_follow_seconds(cls, said: object) -> object:
        """Leave out what an inventory or a saved instance of before says of a flow that is gone."""
        if not isinstance(said, dict):
            return said
        return {name: value for name, value in said.items() if name != "follow_seconds"}


class Alarms(BaseModel):
    """When somebody is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lag_mb: int = Field(default=256, ge=1, description="MB of WAL that the standby may lag behind.")
    lag_seconds: int = Field(default=900, ge=1, description="Seconds that it may lag behind.")
    sync_minutes: int = Field(
        default=30, ge=1, description="Minutes without a good copy of the files."
    )
    run_check: bool = Field(
        default=False, description="Run the check at once on lag, a lost slot or a refused copy."
    )
    ping_url: WebAddress | None = Field(
        default=None,
        description="Asked whenever a board was published: a dead man's switch elsewhere, which "
        "tells somebody when it was not asked for long (healthchecks.io, Uptime Kuma).",
    )


class OdooInstance(Block):
    """One replicated Odoo server: where it lives and where it is recovered."""

    _block_type_name = "Odoo instance"
    _block_type_slug = "odoo-instance"

    name: InstanceName = Field(
        description="Also the recovery cluster, the slot, the unit suffix and the folder."
    )
    origin: Place = Field(description="The VPS of the customers.")
    recovery: Place = Field(description="Its replica on the recovery server.")
    directory: AbsolutePath = Field(description="Where the recovery host keeps the files.")
    shared_users: tuple[UserName, ...] = Field(
        default=(), description="Users on the recovery host that other instances share."
    )
    settled: Literal["own", "shared", "moving"] = Field(
        default="own",
        description="Which users it runs as on the recovery host: its own; the shared ones of "
        "Relevo 0.1, until replicate has run; or it is between the two.",
    )
    replication: Replication = Field(description="Roles and WAL.")
    signing_key: SecretStr = Field(description="Signs the receipts; any long secret will do.")
    next_signing_key: SecretStr | None = Field(
        default=None, description="A new one, while rotate-key gives it to both hosts."
    )
    retired_keys: dict[str, int] = Field(
        default_factory=dict,
        description="Public halves of retired keys, and the last epoch that each of them signed.",
    )
    guard: Guard = Field(default_factory=Guard, description="How a returning origin is fenced.")
    domains: tuple[DomainName, ...] = Field(default=(), description="Domains of the customers.")
    dns: Dns | None = Field(default=None, description="None: the report says what to change.")
    certificate: Certificate | None = Field(
        default=None, description="For all domains without one of their own; None: plain HTTP."
    )
    certificates: dict[DomainName, Certificate] = Field(
        default_factory=dict, description="For domains with one of their own."
    )
    filestore: Filestore = Field(default_factory=Filestore, description="Files and trash.")
    time_machine: TimeMachine | None = Field(
        default=None, description="How far one can go back; None: to no second but now."
    )
    schedules: Schedules = Field(default_factory=Schedules, description="How often.")
    alarms: Alarms = Field(default_factory=Alarms, description="When alarms are sent.")
    language: Language = Field(
        default="en", description="In which plans, forms, reports, the board and mails are written."
    )
    timezone: ZoneName = Field(
        default="UTC", description="In which plans, reports, the board and mails say a time."
    )

    def certificate_of(self, domain: str) -> Certificate | None:
        """What the origin shows a browser that asks for a domain."""
        return self.certificates.get(domain, self.certificate)

    def opposite(self, place: Place) -> Place:
        """The other end."""
        return self.recovery if place.kind == "origin" else self.origin

    @property
    def trash(self) -> PurePosixPath:
        return self.directory / "trash"

    @property
    def trash_days(self) -> int:
        """Days for which deleted files are kept: as long as a database that names them."""
        kept, past = self.filestore.retention_days, self.time_machine
        return max(kept, past.files_days) if past else kept

    def copied(self, path: PurePosixPath) -> PurePosixPath:
        """Where the recovery host has a file of the origin's sources, if it is one of them."""
        for source in self.origin.odoo.sources:
            if path.is_relative_to(source):
                return self.directory / "sources" / path.relative_to("/")
        return path
