"""The cluster whose past is kept: asked where it stands; nothing is changed in it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..bounded import run
from . import names

if TYPE_CHECKING:
    from .settings import Settings

ASK_SECONDS = 20.0
DUMP_SECONDS, DUMP_BYTES = 300.0, 256 << 20
# A standby that has lost its origin does not say on which timeline it received; what it replayed
# last, and how far it must replay to be consistent, do.
WHERE = """
SELECT json_build_object(
    'standby', pg_is_in_recovery(),
    'lsn', CASE WHEN pg_is_in_recovery() THEN
        coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')
        ELSE pg_current_wal_flush_lsn() END,
    'replayed', CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
        ELSE pg_current_wal_flush_lsn() END,
    'timeline', CASE WHEN pg_is_in_recovery() THEN
        greatest((SELECT received_tli FROM pg_stat_wal_receiver), r.min_recovery_end_timeline,
            c.timeline_id)
        ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END,
    'committed', CASE WHEN pg_is_in_recovery() THEN
        extract(epoch FROM pg_last_xact_replay_timestamp())::float8 END,
    'now', extract(epoch FROM clock_timestamp())::float8,
    'directory', current_setting('data_directory'),
    'segment', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
    'page', current_setting('wal_block_size')::int)
FROM pg_control_checkpoint() AS c, pg_control_recovery() AS r
"""
NAMES = "SELECT json_object_agg(oid, datname) FROM pg_database"
COMMIT = re.compile(r"desc: COMMIT(?:_PREPARED)? (?:\d+: )?(\d{4}-[-\d]+ \d\d:\d\d:[.\d]+) UTC")


class Away(Exception):
    """PostgreSQL does not answer."""


@dataclass(frozen=True)
class Where:
    """Where a cluster stands: what it has of the WAL, and on which timeline."""

    standby: bool
    lsn: int
    replayed: int
    timeline: int
    committed: float | None
    now: float
    directory: str
    segment: int
    page: int

    @property
    def live(self) -> int:
        """The segment that is being written: all before it are finished."""
        return self.lsn // self.segment

    @property
    def wal(self) -> str:
        return os.path.join(self.directory, "pg_wal")

    @property
    def second(self) -> float:
        """The second that what is replayed now belongs to, by the clock that commits have."""
        return self.now if self.committed is None else self.committed


def locate(settings: Settings) -> Where:
    """Ask the cluster where it stands."""
    facts = _ask(settings, WHERE)
    places = {name: names.position(facts[name]) for name in ("lsn", "replayed")}
    return Where(**{**facts, **places})


def databases(settings: Settings) -> dict[int, str]:
    """Name the databases by their numbers."""
    return {int(oid): str(name) for oid, name in _ask(settings, NAMES).items()}


def _ask(settings: Settings, sql: str) -> dict[str, Any]:
    """Ask the cluster itself, as its owner and in the database `postgres` alone."""
    argv = [
        f"{settings.bin}/psql", "-XAtq", "-w", "-h", settings.socket, "-p", str(settings.port),
        "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql,
    ]  # fmt: skip
    env = {"PGOPTIONS": settings.options, "PGCONNECT_TIMEOUT": "5", "PATH": "/usr/bin:/bin"}
    done = run(argv, seconds=ASK_SECONDS, env=env)
    if done.status != 0:
        raise Away(done.said[-300:])
    found: dict[str, Any] = json.loads(done.text)
    return found


def last_commit(settings: Settings, path: str) -> float | None:
    """Give the time of the last commit in a segment; none where nothing was committed in it."""
    argv = [f"{settings.bin}/pg_waldump", "--rmgr=Transaction", path]
    env = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = run(argv, seconds=DUMP_SECONDS, limit=DUMP_BYTES, env=env)  # it complains at the end
    found = COMMIT.findall(done.text)
    return second(found[-1]) if found else None


def second(text: str) -> float:
    """
    >>> second("1970-01-01 00:01:00.5")
    60.5
    """
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()
