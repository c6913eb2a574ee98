"""Do two servers fit each other: a pure judgement."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from blocks.names import TRIED
from blocks.version import VERSION
from tasks.run.moments import size

SKEW_SECONDS = (5.0, 60.0)


@dataclass(frozen=True)
class Side:
    """What one server says of itself.

    `reaches` is whether the other's PostgreSQL answers it, `rewindable` whether pg_rewind can take
    back what it wrote (PostgreSQL manual, pg_rewind: checksums or wal_log_hints), `archives`
    whether it puts its WAL into an archive while it leads, `wal_elsewhere` whether its pg_wal is a
    link, usually to another disk, `programs` the versions of Relevo's programs there.
    """

    name: str
    postgres: str
    glibc: str
    clock_ahead: float
    free_bytes: int
    reaches: bool
    rewindable: bool
    archives: bool = False
    wal_elsewhere: bool = False
    programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Both servers, and what the databases ask of them.

    `owners` is whose each database of an Odoo is, and `role` that of the Odoo which moves.
    """

    origin: Side
    recovery: Side
    data_bytes: int = 0
    kept_bytes: int = 0
    lacking: dict[str, list[str]] = field(default_factory=dict)
    sorted_by_glibc: dict[str, list[str]] = field(default_factory=dict)
    role: str = ""
    owners: dict[str, list[str]] = field(default_factory=dict)

    @property
    def skew_seconds(self) -> float:
        return abs(self.origin.clock_ahead - self.recovery.clock_ahead)

    @property
    def same_glibc(self) -> bool:
        return self.origin.glibc == self.recovery.glibc

    def __str__(self) -> str:
        """
        >>> one = Side("a", "13.9", "2.31", 0.5, 0, True, True)
        >>> print(Pair(one, Side("b", "13.9", "2.31", 0.0, 0, True, True)))
        PostgreSQL 13.9 and 13.9, glibc 2.31 and 2.31, clocks 0.5 s apart
        """
        here, there = self.recovery, self.origin
        return (
            f"PostgreSQL {there.postgres} and {here.postgres}, glibc {there.glibc} and "
            f"{here.glibc}, clocks {self.skew_seconds:.1f} s apart"
        )


def untried(version: int) -> str:
    return (
        f"PostgreSQL {version} is newer than the releases with which Relevo was tried (up to "
        f"{TRIED[1]}): run drill, and see that it is green, before you rely on it"
    )


def wrong(pair: Pair) -> list[str]:
    """What would make a failover or a failback fail, or its report lie."""
    found = [
        f"{asks.name} cannot reach PostgreSQL on {other.name}: open its port in the firewall there"
        for asks, other in ((pair.origin, pair.recovery), (pair.recovery, pair.origin))
        if not asks.reaches
    ]
    if pair.skew_seconds > SKEW_SECONDS[1]:
        found.append(
            f"the clocks of {pair.origin.name} and {pair.recovery.name} are "
            f"{pair.skew_seconds:.0f} s apart: let both follow a time server"
        )
    found += [
        f"{database} uses {', '.join(names)}, which {pair.recovery.name} lacks"
        for database, names in pair.lacking.items()
        if names
    ]
    return found


def remarks(pair: Pair) -> list[str]:
    """What somebody should mend in daylight.

    >>> one = Side("uno", "13.9", "2.31", 0, 9 << 30, True, True)
    >>> two = Side("due", "13.9", "2.36", 0, 9 << 30, True, True)
    >>> remarks(Pair(one, two, sorted_by_glibc={"shop": ["a", "b"], "empty": []}))
    ... # doctest: +NORMALIZE_WHITESPACE
    ['uno has glibc 2.31 and due 2.36, which may sort text differently: REINDEX after a move
     (shop: 2 indexes of text)']
    """
    found = []
    here, there = pair.recovery, pair.origin
    if SKEW_SECONDS[0] < pair.skew_seconds <= SKEW_SECONDS[1]:
        found.append(f"the clocks are {pair.skew_seconds:.0f} s apart")
    if here.postgres != there.postgres:
        found.append(
            f"{there.name} has PostgreSQL {there.postgres} and {here.name} {here.postgres}: "
            "update the older"
        )
    if (version := int(re.sub(r"\D.*", "", there.postgres) or 0)) > TRIED[1]:
        found.append(untried(version))
    if not pair.same_glibc:
        counts = ", ".join(
            f"{database}: {len(names)} indexes of text"
            for database, names in pair.sorted_by_glibc.items()
            if names
        )
        if counts:
            found.append(
                f"{there.name} has glibc {there.glibc} and {here.name} {here.glibc}, which may "
                f"sort text differently: REINDEX after a move ({counts})"
            )
    found += [
        f"{side.name} runs with neither wal_log_hints nor checksums: it could not be rewound, "
        "only cloned again; switch wal_log_hints on and restart it"
        for side in (there, here)
        if not side.rewindable
    ]
    found += [
        f"{database} belongs to {owner}, but Odoo of {there.name} is {pair.role}: it moves with "
        "the cluster, and the Odoo that serves it does not"
        for database, owners in pair.owners.items()
        for owner in owners
        if pair.role and owner != pair.role
    ]
    if there.archives and not here.archives:
        found.append(
            f"{there.name} archives its WAL and {here.name} does not: while {here.name} serves, "
            "WAL is not archived"
        )
    if there.wal_elsewhere:
        found.append(
            f"pg_wal on {there.name} is a link: a failback that has to clone it again makes it a "
            "folder of the data directory again"
        )
    if there.free_bytes < pair.data_bytes:
        found.append(
            f"a new clone would not fit beside the old one on {there.name}: "
            f"{size(pair.data_bytes)}, and {size(there.free_bytes)} are free"
        )
    found += [
        f"{side.name} may keep {size(pair.kept_bytes)} of WAL, but only "
        f"{size(side.free_bytes)} are free"
        for side in (there, here)
        if side.free_bytes < pair.kept_bytes
    ]
    found += [each for side in (there, here) for each in _of_another_version(side)]
    return found


def _of_another_version(side: Side) -> Iterator[str]:
    """Say that a server has programs of another Relevo; the oldest ones do not say theirs."""
    if others := sorted({*side.programs} - {VERSION}):
        listed = " and ".join("an unknown version" if v == "unknown" else v for v in others)
        yield f"programs of {listed} on {side.name}, this runner has {VERSION}: run replicate"
