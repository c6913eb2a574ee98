"""What the engine knows, durable: watermarks, files that are wanted, files that nobody wants.

A watermark moves in the transaction that notes all its candidates as pending, and a file stops to
be pending when it is on the disk. So after a crash at any point there is work to repeat, and none
is forgotten. Without this file everything is compared.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Callable, Iterable, NamedTuple  # Python 3.8

from .decide import LAST_DELAY_SECONDS, QUEUED, Guard, delay_seconds
from .names import Key
from .state_file import StateFile

SOME = 4096  # as many as are synced to the disk at once: a sync costs as much for one file


class Pending(NamedTuple):
    """A file that is wanted and is not here."""

    key: Key
    size: int | None
    first_seen: float
    state: str
    since: float
    why: str


class Watermark(NamedTuple):
    """Up to where a database has been read, and up to where its files are whole."""

    guard: Guard
    xmin: int
    lsn: str
    at: float
    agreed_lsn: str
    agreed_at: float
    rows: int


class State(StateFile):
    """What is known of one instance."""

    def watermark(self, database: str) -> Watermark | None:
        with self.lock:
            row = self.db.execute(
                "SELECT guard, xmin, lsn, at, agreed_lsn, agreed_at, rows FROM watermark "
                "WHERE database = ?", (database,),
            ).fetchone()  # fmt: skip
        if row is None:
            return None
        guard = Guard(*json.loads(row[0]))
        return Watermark(guard, row[1], row[2], row[3], row[4] or "", row[5] or 0.0, row[6] or 0)

    def advance(
        self,
        guard: Guard,
        xmin: int,
        lsn: str,
        wanted: Iterable[tuple[Key, int | None]],
        rows: Callable[[], int] | None = None,
    ) -> None:
        """Note what is wanted and move the watermark, in one transaction.

        `rows` says how many there are, where all were read.
        """
        now = time.time()
        with self.change() as db:
            known = self.watermark(guard.database)
            if known is not None and known.guard.database_oid != guard.database_oid:
                db.execute("DELETE FROM watermark WHERE database = ?", (guard.database,))
            db.executemany(
                "INSERT INTO pending (database, name, size, first_seen, state) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                ((key.database, key.name, size, now, QUEUED) for key, size in wanted),
            )
            db.execute(
                "INSERT INTO watermark (database, guard, xmin, lsn, at, rows) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (database) DO UPDATE SET "
                "guard = excluded.guard, xmin = excluded.xmin, lsn = excluded.lsn, "
                "at = excluded.at, rows = coalesce(excluded.rows, rows)",
                (guard.database, json.dumps(guard), xmin, lsn, now, rows() if rows else None),
            )

    def agree(self, database: str, lsn: str, at: float) -> bool:
        """Note that all files up to a position are whole, if none is pending."""
        with self.change() as db:
            (count,) = db.execute(
                "SELECT count(*) FROM pending WHERE database = ?", (database,)
            ).fetchone()
            if count == 0:
                db.execute(
                    "UPDATE watermark SET agreed_lsn = ?, agreed_at = ? WHERE database = ?",
                    (lsn, at, database),
                )
        return bool(count == 0)

    def due(self, *, at: float | None = None, after: Key | None = None) -> list[Key]:
        """Name some of what should be fetched now, in order; all of it in time, without a time.

        What would wait longer than the longest delay was noted before the clock was set back.
        """
        with self.lock:
            rows = self.db.execute(
                "SELECT database, name FROM pending WHERE (due <= ?1 OR due > ?1 + ?2) "
                "AND (database, name) > (?3, ?4) ORDER BY database, name LIMIT ?5",
                (
                    float("inf") if at is None else at,
                    LAST_DELAY_SECONDS,
                    *(after or ("", "")),
                    SOME,
                ),
            ).fetchall()
        return [Key(database, name) for database, name in rows]

    def count(self) -> int:
        """How many files are pending."""
        with self.lock:
            return int(self.db.execute("SELECT count(*) FROM pending").fetchone()[0])

    def pending(self, database: str | None = None) -> list[Pending]:
        with self.lock:
            rows = self.db.execute(
                "SELECT database, name, size, first_seen, state, since, why FROM pending "
                "WHERE ?1 IS NULL OR database = ?1 ORDER BY database, name", (database,),
            ).fetchall()  # fmt: skip
        return [Pending(Key(row[0], row[1]), *row[2:]) for row in rows]

    def done(self, keys: Iterable[Key]) -> None:
        """Forget what is on the disk, or wanted no more."""
        with self.change() as db:
            self._forget(db, keys)

    @staticmethod
    def _forget(db: sqlite3.Connection, keys: Iterable[Key]) -> None:
        db.executemany("DELETE FROM pending WHERE database = ? AND name = ?", keys)

    def failed(self, key: Key, state: str, *, why: str = "", since: float = 0.0) -> None:
        """Note why a file could not be had, and when to try again."""
        with self.change() as db:
            db.execute(
                "UPDATE pending SET state = ?1, why = ?2, tries = tries + 1, "
                "since = CASE WHEN state = ?1 AND since > 0 THEN since ELSE ?3 END "
                "WHERE database = ?4 AND name = ?5",
                (state, why, since, key.database, key.name),
            )
            row = db.execute("SELECT tries FROM pending WHERE database = ? AND name = ?", key)
            for (tries,) in row.fetchall():
                db.execute(
                    "UPDATE pending SET due = ? WHERE database = ? AND name = ?",
                    (time.time() + delay_seconds(tries), key.database, key.name),
                )

    def want(self, keys: Iterable[Key]) -> None:
        """Note files that are wanted, whatever the watermark says."""
        with self.change() as db:
            db.executemany(
                "INSERT INTO pending (database, name, first_seen, state) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                ((key.database, key.name, time.time(), QUEUED) for key in keys),
            )

    def seen(self, oids: dict[str, str]) -> dict[str, float]:
        """Note which databases there are, and nothing of others; say since when each is known.

        One that is made anew or renamed begins anew, as does a time that has not come yet.
        """
        now = time.time()
        stored = self.db.execute("SELECT database, oid, at FROM seen").fetchall()
        known = {database: (oid, min(at, now)) for database, oid, at in stored}
        since = {
            database: known[database][1] if known.get(database, ("",))[0] == oid else now
            for database, oid in oids.items()
        }
        wanted = [(database, oid, since[database]) for database, oid in oids.items()]
        if sorted(stored) != sorted(wanted):
            with self.change() as db:
                db.execute("DELETE FROM seen")
                db.executemany("INSERT INTO seen VALUES (?, ?, ?)", wanted)
        return since

    def forget_databases(self, known: set[str]) -> None:
        """Forget what was wanted for databases that are no more."""
        with self.change() as db:
            for (name,) in db.execute("SELECT database FROM watermark").fetchall():
                if name not in known:
                    db.execute("DELETE FROM watermark WHERE database = ?", (name,))
                    db.execute("DELETE FROM pending WHERE database = ?", (name,))
                    for fact in ("looked", "trusted", "rests"):
                        db.execute("DELETE FROM fact WHERE name = ?", (f"{fact}/{name}",))

    def orphans(self, found: set[Key], now: float) -> list[tuple[Key, float]]:
        """Note which files nobody refers to; give each with the time since when."""
        with self.change() as db:
            known = {
                Key(database, name): since
                for database, name, since in db.execute("SELECT * FROM orphan").fetchall()
            }
            gone = [key for key in known if key not in found]
            db.executemany("DELETE FROM orphan WHERE database = ? AND name = ?", gone)
            db.executemany(
                "INSERT INTO orphan VALUES (?, ?, ?)",
                ((key.database, key.name, now) for key in found if key not in known),
            )
        return sorted((key, known.get(key, now)) for key in found)

    def fact(self, name: str) -> str:
        with self.lock:
            row = self.db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def note(self, name: str, value: str) -> None:
        with self.change() as db:
            db.execute(
                "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET "
                "value = excluded.value", (name, value),
            )  # fmt: skip
