"""Which deployments there should be: pure, so that what `apply` will do can be read."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from blocks.instance import OdooInstance
from tasks.run.tags import MOVES, SCHEDULED, SWITCH, host_tag, tag

PROCEDURES, SYNC, BOARDS = "procedures", "sync", "boards"
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
BY_HAND = (
    "replicate", "failover", "failback", "switchover", "check",
    "restore_filestore",
)  # fmt: skip
ON_THE_NIGHT = ("failover", "failback", "switchover")
KINDS = ("filestore", "sources", "requirements")
ROUNDS, WATCH_SECONDS = "copies", 60
# The schedule of an instance's own copy is a switch: while it is on, the rounds copy the instance.
# It is never due itself.
NEVER_SECONDS = 100 * 365 * 86400


@dataclass(frozen=True)
class Wanted:
    """One deployment of one instance."""

    flow: str
    name: str
    instance: str
    queue: str
    parameters: dict[str, str | int] = field(default_factory=dict)
    every_seconds: int | None = None
    always: bool = False

    @property
    def entrypoint(self) -> str:
        """
        >>> Wanted("build_service", "vps_1", "vps_1", PROCEDURES).entrypoint
        'flows/build_service.py:build_service'
        """
        return f"flows/{self.flow}.py:{self.flow}"

    @property
    def tags(self) -> list[str]:
        """
        >>> Wanted("failover", "vps_1", "vps_1", PROCEDURES).tags
        ['instance:vps_1', 'moves']
        """
        own = [tag(self.instance)] if self.instance else []
        if self.flow == ROUNDS:
            return [host_tag(self.name), SCHEDULED]
        copies = [SCHEDULED] if self.every_seconds and not self.always else []
        switch = [SWITCH] if self.every_seconds == NEVER_SECONDS else []
        moves = [MOVES] if self.flow in ON_THE_NIGHT else []
        return [*own, *moves, *copies, *switch]

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.every_seconds or 0)

    @property
    def anchor(self) -> datetime:
        """A beginning of its own for each, so that thirty instances do not start at once."""
        if self.every_seconds == NEVER_SECONDS:
            return ANCHOR
        return ANCHOR + timedelta(seconds=_number(self.name) % (self.every_seconds or 1))

    def fingerprint(self, *more: str) -> str:
        """Tells one definition from another; kept as the deployment's version."""
        return hashlib.sha256(repr((asdict(self), more)).encode()).hexdigest()[:16]


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def deployments(instance: OdooInstance) -> list[Wanted]:
    """The deployments of one instance: buttons for people, schedules for the copies."""
    name, schedules = instance.name, instance.schedules
    buttons = [
        *(Wanted(flow, name, name, PROCEDURES) for flow in BY_HAND),
        Wanted("build_service", name, name, PROCEDURES, {}, schedules.build_seconds),
        Wanted("drill", name, name, PROCEDURES, {}, schedules.drill_seconds or None),
    ]
    every = {
        "filestore": NEVER_SECONDS,
        "sources": schedules.sources_seconds,
        "requirements": schedules.requirements_seconds,
    }
    copies = [
        Wanted(
            "rsync_filestore",
            name if kind == "filestore" else f"{name}-{kind}",
            name,
            SYNC,
            {"kind": kind},
            every[kind],
        )
        for kind in KINDS
    ]
    reconcile = Wanted("reconcile_filestore", name, name, SYNC, {}, schedules.reconcile_seconds)
    return [*buttons, *copies, reconcile]


def rounds(instances: Sequence[OdooInstance]) -> list[Wanted]:
    """One run for each recovery host that copies the files of all its instances.

    As often as the most impatient of them wants.
    """
    often: dict[str, int] = {}
    for instance in instances:
        host, seconds = instance.recovery.host.name, instance.schedules.filestore_seconds
        often[host] = min(seconds, often.get(host, seconds))
    return [
        Wanted(ROUNDS, host, "", SYNC, {"recovery": host}, seconds, always=True)
        for host, seconds in often.items()
    ]


def watches(instances: Sequence[OdooInstance]) -> list[Wanted]:
    """One run for each recovery host with a time machine that is to tell of mass changes."""
    hosts = dict.fromkeys(
        each.recovery.host.name
        for each in instances
        if each.time_machine and each.time_machine.alarm_rows
    )
    return [
        Wanted(
            "watch",
            f"mass-changes-{host}",
            "",
            SYNC,
            {"recovery": host},
            WATCH_SECONDS,
            always=True,
        )
        for host in hosts
    ]


def board(instances: Sequence[OdooInstance]) -> Wanted:
    """One run that measures all instances, as often as the most impatient of them wants."""
    every = board_seconds(instances)
    return Wanted("board", "all-instances", "", BOARDS, {}, every, always=True)


def board_seconds(instances: Sequence[OdooInstance]) -> int:
    return min((each.schedules.check_seconds for each in instances), default=600)


def everything(instances: Sequence[OdooInstance]) -> list[Wanted]:
    """All that Prefect is told of an inventory."""
    own = [wanted for instance in instances for wanted in deployments(instance)]
    return [*own, *rounds(instances), *watches(instances), board(instances)]
