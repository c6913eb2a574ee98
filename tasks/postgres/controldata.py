"""What pg_controldata says of a data directory, running or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tasks.postgres.wal import Lsn

# What a user makes is numbered from here (PostgreSQL, access/transam.h, FirstNormalObjectId).
FIRST_NORMAL_OID = 16384
# The record of a checkpoint, with the headers of a page and a segment that it may run into.
SHUTDOWN_RECORD = 512
# What a server is to be started with, as long as it follows: pg_control says what wrote its WAL.
LIMITS = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}


@dataclass(frozen=True)
class ControlData:
    """The facts of pg_control that decide whether and how a node may rejoin."""

    system_identifier: str
    state: str
    timeline: int
    checkpoint: Lsn
    minimum_recovery_end: Lsn
    minimum_recovery_timeline: int
    checksums: bool
    log_hints: bool
    next_oid: int
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def shut_down(self) -> bool:
        """It was a primary, and stopped cleanly: the last thing it wrote is its checkpoint."""
        return self.state == "shut down"

    def ends_at(self, position: Lsn) -> bool:
        """Tell whether who has WAL up to here has all of it, and no other.

        A clean shutdown writes nothing after its checkpoint. A node that is further has another
        history: this one was set back to an older state, or made anew.
        """
        return self.shut_down and 0 < position - self.checkpoint <= SHUTDOWN_RECORD

    @property
    def shut_down_in_recovery(self) -> bool:
        return self.state == "shut down in recovery"

    @property
    def was_standby(self) -> bool:
        """It was following another node when it was last heard of.

        A crashed primary that recovers by itself says "in crash recovery", and if it is stopped
        there (a guard does) "shut down in recovery", too. It has no minimum recovery end: that is
        kept for a standby alone, and a primary always recovers all of its WAL.
        """
        followed = self.state in {"shut down in recovery", "in archive recovery"}
        return followed and self.minimum_recovery_end > Lsn(0)

    def as_primary(self) -> "ControlData":
        """Give what this says of a node without a standby's signal file.

        Between its promotion and its first checkpoint a primary has a minimum recovery end, too.
        """
        return replace(self, minimum_recovery_end=Lsn(0))

    @property
    def crashed_standby(self) -> bool:
        """It died as a standby, which PostgreSQL never recovers in single-user mode."""
        return self.was_standby and not self.shut_down_in_recovery

    @property
    def last_timeline(self) -> int:
        """The timeline of the last WAL that it holds.

        A standby that follows a new timeline has a checkpoint of the former one until its primary
        makes the next, and it makes a restartpoint of that.
        """
        return self.minimum_recovery_timeline if self.was_standby else self.timeline

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
        minimum_recovery_timeline=int(facts["Min recovery ending loc's timeline"]),
        checksums=facts["Data page checksum version"] != "0",
        log_hints=facts["wal_log_hints setting"] == "on",
        next_oid=int(facts["Latest checkpoint's NextOID"]),
        limits={name: int(facts[label]) for name, label in LIMITS.items() if label in facts},
    )
