"""What pg_controldata says of a data directory, running or not."""

from dataclasses import dataclass

from tasks.read.lsn import Lsn

# What a user makes is numbered from here (PostgreSQL, access/transam.h, FirstNormalObjectId).
FIRST_NORMAL_OID = 16384


@dataclass(frozen=True)
class ControlData:
    """The facts of pg_control that decide whether and how a node may rejoin."""

    system_identifier: str
    state: str
    timeline: int
    checkpoint: Lsn
    minimum_recovery_end: Lsn
    checksums: bool
    log_hints: bool
    next_oid: int

    @property
    def shut_down(self) -> bool:
        """It was a primary, and stopped cleanly: the last thing it wrote is its checkpoint."""
        return self.state == "shut down"

    @property
    def shut_down_in_recovery(self) -> bool:
        return self.state == "shut down in recovery"

    @property
    def was_standby(self) -> bool:
        """It was following another node when it was last heard of.

        A crashed primary that is recovering by itself says "in crash recovery".
        """
        return self.state in {"shut down in recovery", "in archive recovery"}

    @property
    def rewindable(self) -> bool:
        return self.checksums or self.log_hints

    @property
    def never_used(self) -> bool:
        """At its last checkpoint no table, role or database had ever been made in it."""
        return self.next_oid < FIRST_NORMAL_OID


def parse(text: str) -> ControlData:
    """Read pg_controldata's output (with LC_ALL=C)."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in pairs}
    return ControlData(
        system_identifier=facts["Database system identifier"],
        state=facts["Database cluster state"],
        timeline=int(facts["Latest checkpoint's TimeLineID"]),
        checkpoint=Lsn.parse(facts["Latest checkpoint location"]),
        minimum_recovery_end=Lsn.parse(facts["Minimum recovery ending location"]),
        checksums=facts["Data page checksum version"] != "0",
        log_hints=facts["wal_log_hints setting"] == "on",
        next_oid=int(facts["Latest checkpoint's NextOID"]),
    )
