"""What each record holds: one class a file, with the file's name, and the host where it stands.

What is no part of a procedure stands under notes/. `schema.py` says when a version is
raised.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from tasks.records.loss import Exposure
from tasks.records.samples import Sampled
from tasks.records.schema import Record

Moment = Annotated[datetime, PlainSerializer(datetime.isoformat)]


# The procedures


@dataclass(frozen=True, kw_only=True)
class Failover(Record):
    """A move that was begun and is not ended; at the recovery host."""

    name = "failover"
    decides = True
    exposure: Exposure
    reason: str
    time: Moment


@dataclass(frozen=True, kw_only=True)
class Identity(Record):
    """Which cluster the copy is of; at the recovery host."""

    name = "identity"
    decides = True
    system_identifier: str


@dataclass(frozen=True, kw_only=True)
class Link(Record):
    """How far the origin had written, at one or two times; at the recovery host."""

    name = "link"
    samples: tuple[Sampled, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AutoConf(Record):
    """What ALTER SYSTEM had set before a rewind; at the host that is rewound, either one."""

    name = "auto_conf"
    decides = True
    text: str


@dataclass(frozen=True)
class Owners:
    """Two system users: the one of Odoo, and the one of its cluster."""

    odoo: str
    postgres: str


def _owned(owners: Owners | None) -> dict[str, str]:
    return asdict(owners) if owners else {}


@dataclass(frozen=True, kw_only=True)
class Users(Record):
    """As whom an instance runs on the recovery host, where this stands.

    While it is moved to others it is not whole: `former` has had all, `wanted` is to have it.
    """

    name = "users"
    decides = True
    odoo: str
    postgres: str
    former: Annotated[
        Owners | None, BeforeValidator(lambda found: found or None), PlainSerializer(_owned)
    ] = None
    wanted: Owners | None = None
    whole: bool

    def __post_init__(self) -> None:
        if not self.whole and not (self.former and self.wanted):
            raise ValueError("a move that was cut off lacks the users from and to which it goes")

    @property
    def owners(self) -> Owners:
        return Owners(self.odoo, self.postgres)


# What is no part of a procedure: when something succeeded, what was told, what is left to do


@dataclass(frozen=True, kw_only=True)
class Stamp(Record):
    """That something has succeeded, and when (seconds since 1970)."""

    at: float


@dataclass(frozen=True, kw_only=True)
class SetUp(Stamp):
    """The last set-up that came to its end; at the recovery host."""

    name = "notes/set-up"


@dataclass(frozen=True, kw_only=True)
class Synced(Stamp):
    """The last good copy of the files; at the recovery host."""

    name = "notes/synced"


@dataclass(frozen=True, kw_only=True)
class Verified(Stamp):
    """The last try of the service; at the recovery host."""

    name = "notes/verified"


@dataclass(frozen=True, kw_only=True)
class Proof(Stamp):
    """That the recovery host can serve an instance, and how long the way there took."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Served(Proof):
    """The last move to the recovery host, where this stands."""

    name = "notes/served"


@dataclass(frozen=True, kw_only=True)
class Drilled(Proof):
    """The last drill that ended well; at the recovery host."""

    name = "notes/drilled"


@dataclass(frozen=True, kw_only=True)
class Provider(Stamp):
    """The last try of the DNS provider, by the mark of the way to it; at the recovery host."""

    name = "notes/provider"
    mark: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Names(Record):
    """Addresses that the inventory lacks, by domain and kind; at the recovery host.

    Its keys are the domains themselves.
    """

    name = "notes/names"
    addresses: dict[str, dict[str, str]]

    @classmethod
    def from_keys(cls, found: dict[str, Any]) -> dict[str, Any]:
        return {"addresses": found}

    def to_keys(self) -> dict[str, Any]:
        return dict(self.addresses)


@dataclass(frozen=True, kw_only=True)
class Lags(Record):
    """The bytes that the standby was behind at the last boards; at the recovery host."""

    name = "notes/lags"
    lags: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Alarms(Record):
    """Which alarms were told, and which were seen at the last board."""

    alarms: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Told(Alarms):
    """The same, with who was said to serve, and when; at the recovery host."""

    name = "notes/told"
    served: str | None = None
    at: float | None = None


@dataclass(frozen=True, kw_only=True)
class ToldAway(Alarms):
    """The same at the origin, while the recovery host cannot be asked."""

    name = "told"


@dataclass(frozen=True)
class Approval:
    """What was said with a yes, and from when on its seconds count."""

    origin_is_down: bool
    reason: str
    approved_by: str
    watch: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class Decided(Record):
    """The last yes that was said to a run on its page; at the recovery host."""

    name = "notes/decided"
    run: str
    procedure: str
    said: Approval


@dataclass(frozen=True, kw_only=True)
class Schedules(Record):
    """To what a run without a server wants the schedules switched; at the recovery host."""

    name = "notes/schedules"
    on: bool


@dataclass(frozen=True)
class Run:
    """A run that no server has seen."""

    procedure: str
    time: Moment
    ended: str
    text: str
    good: bool


@dataclass(frozen=True, kw_only=True)
class Runs(Record):
    """The runs that no server has seen yet; at the recovery host."""

    name = "notes/runs"
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LeftOut(Record):
    """What a copy left out for good: how many, and some of their names."""

    count: int
    named: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LeftOutSources(LeftOut):
    """What the copy of the sources left out; at the recovery host."""

    name = "notes/left-out-sources"


@dataclass(frozen=True, kw_only=True)
class LeftOutFilestore(LeftOut):
    """What the copy of the files left out; at the recovery host."""

    name = "notes/left-out-filestore"


@dataclass(frozen=True, kw_only=True)
class Aside(Record):
    """When each thing that was kept aside was first seen, at either host; at the recovery host."""

    name = "notes/aside"
    seen: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trash(Record):
    """How many seconds each day of the trash was seen to lie there, and the bytes that it takes.

    At the recovery host.
    """

    name = "notes/trash"
    at: float
    seen: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
