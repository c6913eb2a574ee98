"""The SQLite file of what an engine knows: opened, changed whole, put aside when spoiled."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import Iterator  # Python 3.8

SCHEMA = """
CREATE TABLE IF NOT EXISTS watermark (
    database TEXT PRIMARY KEY, guard TEXT NOT NULL, xmin INTEGER NOT NULL, lsn TEXT NOT NULL,
    at REAL NOT NULL, agreed_lsn TEXT, agreed_at REAL, rows INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
    database TEXT, name TEXT, size INTEGER, first_seen REAL NOT NULL, state TEXT NOT NULL,
    since REAL NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '', PRIMARY KEY (database, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orphan (
    database TEXT, name TEXT, since REAL NOT NULL, PRIMARY KEY (database, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (
    database TEXT PRIMARY KEY, oid TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""


def is_spoiled(error: Exception) -> bool:
    """Tell a spoiled file from a full disk, a lock, and whatever else passes.

    SQLite says it of SQLITE_CORRUPT and SQLITE_NOTADB, in the base class of its complaints.
    """
    said = str(error)
    return type(error) is sqlite3.DatabaseError and (
        "malformed" in said or "not a database" in said
    )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class StateFile:
    """One file; threads and processes may share it."""

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.path, self.lock = path, threading.RLock()
        self.file = _identity(path)
        try:
            self.db = self._open(path)
        except sqlite3.DatabaseError as error:
            if not is_spoiled(error):
                raise
            self.put_aside()
            self.db = self._open(path)
        self.file = _identity(path)

    def stands(self) -> bool:
        """Tell whether the file that is open here is still the one of its name."""
        return self.file == _identity(self.path)

    def put_aside(self) -> None:
        """Put a spoiled file aside, unless somebody has: without it everything is compared."""
        if self.file and self.stands():
            for more in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self.path + more, f"{self.path}.spoiled{more}")

    @staticmethod
    def _open(path: str) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # A power cut may take the last transactions back, and never a part of one: work to
            # repeat.
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        self.db.close()

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        with self.lock:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")
