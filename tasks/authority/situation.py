"""What a procedure would do now: decided from what was measured, and from nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.records.commits import CommitNotice
from tasks.records.loss import Exposure

Procedure = Literal[
    "failover", "promote", "failback", "pg_rewind", "switchover", "switchover home",
    "recovery is gone",
]  # fmt: skip
Kind = Literal["planned", "forced", "follow", "rewind", "reclone", "refused"]
SILENT = "silent"
FORWARD = ("failover", "promote")  # they may go on without the origin
BACK = ("failback", "pg_rewind")  # the origin rejoins


@dataclass(frozen=True)
class Situation:
    """Both ends of an instance, as they were measured at one moment.

    `shut_out` is why an origin cannot be asked that is not silent.
    """

    at: str
    origin: str
    recovery: str
    streaming: bool
    exposure: Exposure
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    documents: int | None = None
    not_copied: tuple[str, ...] = ()
    last_drill: str = ""
    predicted_seconds: float | None = None
    notice: CommitNotice | None = None
    way: str = ""
    why: str = ""
    leader_is_down: bool = False
    shut_out: str = ""
    refusals: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One procedure on one instance, with the names that a person would need to follow it."""

    procedure: Procedure
    situation: Situation
    names: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"

    @property
    def instance(self) -> str:
        return self.names["instance"]

    @property
    def kind(self) -> Kind:
        """Which way the procedure would take, or that it would be refused."""
        return "refused" if self.situation.refusals else self.usual

    @property
    def usual(self) -> Kind:
        """Which way the procedure takes when nothing speaks against it.

        An origin that an earlier run has stopped cleanly, with all it wrote received, is no loss.

        >>> seen = Situation("", "primary", "standby", True, Exposure.none())
        >>> Plan("failover", seen).usual
        'planned'
        >>> loss = Exposure(lossless=False, seconds=1.0, about_bytes=1, last_commit="")
        >>> Plan("failover", Situation("", SILENT, "standby", False, loss)).usual
        'forced'
        """
        if self.procedure in FORWARD:
            known = self.situation.origin == "primary" or self.situation.exposure.lossless
            return "planned" if known else "forced"
        if self.procedure == "recovery is gone":
            return "forced"
        if self.procedure not in BACK:
            return "planned"
        ways: dict[str, Kind] = {"follow": "follow", "rewind": "rewind", "reclone": "reclone"}
        return ways.get(self.situation.way, "follow")

    @property
    def asks_whether_down(self) -> bool:
        """Somebody has to see by other means that the origin is down, or data could fork."""
        situation = self.situation
        beside_silence = situation.leader_is_down and situation.origin == SILENT
        return self.procedure in FORWARD and (not situation.exposure.lossless or beside_silence)
