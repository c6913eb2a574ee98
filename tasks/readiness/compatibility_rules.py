"""Do two servers fit each other: a pure judgement."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from blocks.names import TRIED
from blocks.version import VERSION
from tasks.run.moments import size

SKEW_SECONDS = (5.0, 60.0)
WARN_DAYS, LEAST_DAYS = 21, 3  # of a certificate of PostgreSQL's


@dataclass(frozen=True)
class Side:
    """What one server says of itself.

    `reaches` is whether the other's PostgreSQL answers it, `rewindable` whether pg_rewind can take
    back what it wrote (PostgreSQL manual, pg_rewind: checksums or wal_log_hints), `archives`
    whether it puts its WAL into an archive while it leads, `wal_is` whether its pg_wal is a folder,
    a link or a mount, `free_for_wal` what is free there, `programs` the versions of Relevo's
    programs there, `preloaded` the libraries that its PostgreSQL loads, `certificate_days` how long
    the other side believes its PostgreSQL, and `certificate_known` whether it does.
    """

    name: str
    postgres: str
    glibc: str
    clock_ahead: float
    free_bytes: int
    reaches: bool
    rewindable: bool
    archives: bool = False
    wal_is: str = "folder"
    free_for_wal: int | None = None
    programs: tuple[str, ...] = ()
    preloaded: tuple[str, ...] = ()
    certificate_days: int | None = None
    certificate_known: bool = True

    @property
    def wal_bytes(self) -> int:
        """What is free for WAL."""
        return self.free_bytes if self.free_for_wal is None else self.free_for_wal


@dataclass(frozen=True)
class Pair:
    """Both servers, and what the databases ask of them.

    `owners` is whose each database of an Odoo is, and `role` that of the Odoo which moves. `shut`
    are ports at which the recovery host's `address` answers no customer.
    """

    origin: Side
    recovery: Side
    data_bytes: int = 0
    kept_bytes: int = 0
    lacking: dict[str, list[str]] = field(default_factory=dict)
    sorted_by_glibc: dict[str, list[str]] = field(default_factory=dict)
    sorted_by_icu: dict[str, list[str]] = field(default_factory=dict)
    role: str = ""
    owners: dict[str, list[str]] = field(default_factory=dict)
    shut: tuple[str, ...] = ()
    address: str = ""

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
    for side, other in ((pair.origin, pair.recovery), (pair.recovery, pair.origin)):
        if not side.certificate_known:
            found.append(
                f"the certificate of PostgreSQL on {side.name} has changed, so the next connection "
                f"of {other.name} will fail: run replicate, which installs the new certificate"
            )
        if (days := side.certificate_days) is not None and days < LEAST_DAYS:
            found.append(
                f"the certificate of PostgreSQL on {side.name} {_ends(days)}, and {other.name} "
                "cannot connect any more then: renew it, reload PostgreSQL there and run replicate"
            )
    return found


def _ends(days: int) -> str:
    """
    >>> _ends(2), _ends(-3)
    ('ends in 2 days', 'has ended')
    """
    return f"ends in {days} days" if days >= 0 else "has ended"


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
    if not pair.same_glibc and (counts := _counts(pair.sorted_by_glibc)):
        found.append(
            f"{there.name} has glibc {there.glibc} and {here.name} {here.glibc}, which may "
            f"sort text differently: REINDEX after a move ({counts})"
        )
    if counts := _counts(pair.sorted_by_icu):
        found.append(
            f"{here.name} has another version of ICU than {there.name}, which may sort text "
            f"differently: REINDEX after a move ({counts})"
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
    found += _of_the_way(pair)
    if there.archives and not here.archives:
        found.append(
            f"{there.name} archives its WAL and {here.name} does not: while {here.name} serves, "
            "WAL is not archived"
        )
    if lacking := [name for name in there.preloaded if name not in here.preloaded]:
        found.append(
            f"PostgreSQL on {there.name} preloads {', '.join(lacking)} and that on {here.name} "
            f"does not: set shared_preload_libraries in a file of its conf.d on {here.name}, and "
            "restart that standby"
        )
    if there.wal_is == "link":
        found.append(
            f"pg_wal on {there.name} is a link: a failback that has to clone it again makes it a "
            "folder of the data directory again"
        )
    found += [
        f"pg_wal on {side.name} is a mount point: it can follow and be rewound, but not be cloned "
        "again; mount that disk elsewhere and make pg_wal a link to a folder on it"
        for side in (there, here)
        if side.wal_is == "mount"
    ]
    found += [
        f"the certificate of PostgreSQL on {side.name} {_ends(side.certificate_days)}: renew it "
        "there, reload PostgreSQL and run replicate"
        for side in (there, here)
        if side.certificate_days is not None and LEAST_DAYS <= side.certificate_days < WARN_DAYS
    ]
    if there.free_bytes < pair.data_bytes:
        found.append(
            f"a new clone would not fit beside the old one on {there.name}: "
            f"{size(pair.data_bytes)}, and {size(there.free_bytes)} are free"
        )
    found += [
        f"{side.name} may keep {size(pair.kept_bytes)} of WAL, but only "
        f"{size(side.wal_bytes)} are free"
        for side in (there, here)
        if side.wal_bytes < pair.kept_bytes
    ]
    found += [each for side in (there, here) for each in _of_another_version(side)]
    return found


def _of_the_way(pair: Pair) -> Iterator[str]:
    """Say that a firewall keeps customers from the recovery host."""
    if pair.shut:
        yield (
            f"{pair.origin.name} cannot reach {pair.recovery.name} at {pair.address} port "
            f"{' and '.join(pair.shut)}, where customers would come: open its firewall, and that "
            "of its provider"
        )


def _counts(indexes: Mapping[str, list[str]]) -> str:
    """
    >>> _counts({"shop": ["a", "b"], "empty": []})
    'shop: 2 indexes of text'
    """
    return ", ".join(
        f"{database}: {len(names)} indexes of text" for database, names in indexes.items() if names
    )


def _of_another_version(side: Side) -> Iterator[str]:
    """Say that a server has programs of another Relevo; the oldest ones do not say theirs."""
    if others := sorted({*side.programs} - {VERSION}):
        listed = " and ".join("an unknown version" if v == "unknown" else v for v in others)
        yield f"programs of {listed} on {side.name}, this runner has {VERSION}: run replicate"
