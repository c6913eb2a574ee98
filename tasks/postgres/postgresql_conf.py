"""The settings of Relevo, in a file of their own in conf.d."""

from collections.abc import Mapping
from typing import TypeAlias

from blocks.lines import lines_of

Settings: TypeAlias = "Mapping[str, str | int]"

HEADER = "# Written by Relevo. Your own settings belong into another file of this folder.\n"
# A standby refuses to start, or pauses, when these are lower than its primary's
# (PostgreSQL manual, "Hot Standby", Administrator's Overview).
HOT_STANDBY = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
LEAST = {"max_wal_senders": 10, "max_replication_slots": 10}
SEGMENT_MB = 16
UNLIMITED = -1


def quote(value: str | int) -> str:
    """
    >>> quote("it's"), quote(5)
    ("'it''s'", '5')
    """
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def render(settings: Settings) -> str:
    """
    >>> print(render({"wal_level": "replica", "max_wal_senders": 10}), end="")
    # Written by Relevo. Your own settings belong into another file of this folder.
    max_wal_senders = 10
    wal_level = 'replica'
    """
    return HEADER + "".join(f"{name} = {quote(settings[name])}\n" for name in sorted(settings))


def replication(
    *,
    version: int,
    keep_mb: int,
    cap_mb: int,
    current: Mapping[str, str],
    listen: str,
    shared: bool = False,
) -> dict[str, str | int]:
    """Choose what a node needs to lead, to follow and to be rewound.

    `current` are the values in force; limits are raised, never lowered. The cap of slots holds for
    all of them: where they are `shared` with others, theirs are left in peace too.
    """
    chosen: dict[str, str | int] = {
        "wal_level": current["wal_level"] if current["wal_level"] == "logical" else "replica",
        "full_page_writes": "on",
        "hot_standby": "on",
        "wal_log_hints": "on",
        "password_encryption": "scram-sha-256",
        "listen_addresses": listen_addresses(current["listen_addresses"], listen),
    }
    chosen |= {name: max(least, int(current[name])) for name, least in LEAST.items()}
    if version < 13:  # noqa: PLR2004  # the release that renamed the one and added the other
        kept = int(current["wal_keep_segments"])
        return chosen | {"wal_keep_segments": max(-(-keep_mb // SEGMENT_MB), kept)}
    cap = slot_cap(current["max_slot_wal_keep_size"], cap_mb) if shared else cap_mb
    return chosen | {
        "wal_keep_size": f"{max(keep_mb, int(current['wal_keep_size']))}MB",
        "max_slot_wal_keep_size": UNLIMITED if cap == UNLIMITED else f"{cap}MB",
    }


def libraries(setting: str) -> tuple[str, ...]:
    """
    >>> libraries('pg_stat_statements, "$libdir/timescaledb"'), libraries("")
    (('pg_stat_statements', 'timescaledb'), ())
    """
    names = (each.strip().strip('"').removeprefix("$libdir/") for each in setting.split(","))
    return tuple(name for name in names if name)


def slot_cap(current: str, wanted: int) -> int:
    """Raise the cap of slots, in MB, and never lower it.

    >>> slot_cap("-1", 4096), slot_cap("8192", 4096), slot_cap("64", 4096)
    (-1, 8192, 4096)
    """
    return UNLIMITED if int(current) == UNLIMITED else max(int(current), wanted)


def at_least(primary: Mapping[str, str], standby: Mapping[str, str]) -> dict[str, str | int]:
    """Choose hot-standby limits that are no lower than the primary's.

    >>> ours, theirs = dict.fromkeys(HOT_STANDBY, "64"), dict.fromkeys(HOT_STANDBY, "100")
    >>> at_least(theirs, ours)["max_connections"]
    100
    """
    return {name: max(int(primary[name]), int(standby[name])) for name in HOT_STANDBY}


def lower(has: Mapping[str, int], needs: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Name the limits that are lower than they must be, each with what it is and what it must be.

    >>> lower({"max_connections": 100, "max_wal_senders": 10}, {"max_connections": 200})
    {'max_connections': (100, 200)}
    """
    return {
        name: (has[name], least)
        for name, least in needs.items()
        if name in has and has[name] < least
    }


def raised(text: str, limits: Mapping[str, int]) -> str:
    r"""Raise limits in a file of ours, and lower none.

    >>> print(raised(HEADER + "max_connections = 100\nmax_wal_senders = 20\n",
    ...     {"max_connections": 200, "max_wal_senders": 10}), end="")
    # Written by Relevo. Your own settings belong into another file of this folder.
    max_wal_senders = 20
    max_connections = 200
    """
    known = kept_limits(text)
    wanted = {name: value for name, value in limits.items() if known.get(name, -1) < value}
    lines = lines_of(text) or [HEADER]
    others = [line for line in lines if line.partition("=")[0].strip() not in wanted]
    return "".join(others) + "".join(f"{n} = {wanted[n]}\n" for n in sorted(wanted))


def kept_limits(text: str) -> dict[str, int]:
    r"""Read the limits in a file of ours.

    >>> kept_limits("max_connections = 200\nwal_level = 'replica'\n")
    {'max_connections': 200}
    """
    pairs = (line.partition("=") for line in lines_of(text))
    found = {name.strip(): value.strip() for name, _, value in pairs}
    return {name: int(found[name]) for name in HOT_STANDBY if found.get(name, "").isdigit()}


def listen_addresses(current: str, wanted: str) -> str:
    """Listen on one more address, and give up none.

    >>> listen_addresses("localhost", "10.0.0.1"), listen_addresses("*", "10.0.0.1")
    ('localhost,10.0.0.1', '*')
    """
    present = [each.strip() for each in current.split(",") if each.strip()]
    if "*" in present or wanted in present:
        return current
    return ",".join([*present, wanted])
