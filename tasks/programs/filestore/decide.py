"""Decisions: pure, so that each can be read and tested alone."""

from __future__ import annotations

from typing import NamedTuple

QUEUED, BAD, ABSENT, LOST = "queued", "bad", "absent", "lost"
FIRST_DELAY_SECONDS, LAST_DELAY_SECONDS = 1.0, 60.0
PATIENCE_SECONDS = 24 * 3600
LONGEST_REST_SECONDS = 900.0
# Two xids that are further apart than this cannot be compared.
COMPARABLE = 2**31 - 2**20


class Guard(NamedTuple):
    """What must be as it was for a watermark to mean anything.

    A rewind, a restore, a new clone, pg_resetwal and pg_upgrade all need a restart of the standby;
    a database made from a template or renamed has another oid or name; a table put in the place
    of another has another oid.
    """

    system_identifier: str
    timeline: str
    started: str
    database_oid: str
    database: str
    table_oid: str


class Head(NamedTuple):
    """What a snapshot says of itself."""

    in_recovery: bool
    xmin: int
    lsn: str
    now: float
    last_commit: float
    guard: Guard


def head(database: str, row: list[str | None]) -> Head:
    """Read the answer to questions.HEAD.

    >>> head("shop", ["t", "70", "0/5", "7", "1", "9.5", "10.5", "0", "16", "17"]).guard.table_oid
    '17'
    """
    recovery, xmin, lsn, system, timeline, started, now, commit, oid, table = (
        value or "" for value in row
    )
    guard = Guard(system, timeline, started, oid, database, table)
    return Head(recovery == "t", int(xmin), lsn, float(now), float(commit), guard)


def may_continue(known: Guard | None, watermark: int, now: Head) -> bool:
    """Tell whether the rows since a watermark are all that is new; if not, compare everything."""
    return known == now.guard and 0 <= now.xmin - watermark < COMPARABLE


def delay_seconds(tries: int) -> float:
    """Wait longer after each try.

    >>> [delay_seconds(tries) for tries in (1, 2, 3, 20)]
    [1.0, 2.0, 4.0, 60.0]
    """
    return min(LAST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(tries - 1, 10))


def is_lost(absent_since: float, last_commit: float) -> bool:
    """Tell whether a file that the origin had not, and a row still names, is lost there.

    Odoo's collector commits, then deletes. `absent_since` is the origin's clock when the file was
    not there, `last_commit` the same clock at the last commit that was replayed here. Once a later
    commit has been replayed, so has the one that gave the file up: a row that still names it is
    in want of it.

    >>> is_lost(100.0, 99.0), is_lost(100.0, 101.0)
    (False, True)
    """
    return last_commit > absent_since


def too_many(due: int, total: int, max_share: float) -> bool:
    """Tell whether so many files are due for the trash that something must be wrong.

    >>> too_many(0, 0, 0.1), too_many(10, 100, 0.1), too_many(11, 100, 0.1)
    (False, False, True)
    """
    return due > max_share * total


def rest_seconds(last_duration: float, least: float = 5.0, most: float = 60.0) -> float:
    """How long the sound scan rests: it takes no more than a twentieth of a core.

    >>> rest_seconds(0.01), rest_seconds(1.0), rest_seconds(30.0)
    (5.0, 20.0, 60.0)
    """
    return min(most, max(least, 20 * last_duration))


def rest_after_look(took: float) -> float:
    """How long a good look at all files holds; a long one takes no more than a twentieth of a core.

    >>> rest_after_look(0.9), rest_after_look(12.0), rest_after_look(90.0)
    (0.0, 240.0, 900.0)
    """
    return min(LONGEST_REST_SECONDS, 20 * took) if took > 1 else 0.0


def prefixes_to_scrub(elapsed_days: float, scrub_days: float) -> int:
    """How many of the 256 first bytes of a sha1 are due, so that all are read in `scrub_days`.

    >>> prefixes_to_scrub(0.25, 30), prefixes_to_scrub(1, 30), prefixes_to_scrub(90, 30)
    (3, 9, 256)
    """
    return max(1, min(256, -int(-256 * elapsed_days // scrub_days)))
