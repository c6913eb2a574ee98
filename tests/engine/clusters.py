"""A real pair of PostgreSQL clusters in a folder, and a filestore on either side of a real gate."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psycopg
import pytest

from tasks.filestore import rsync_gate
from tasks.install import zipapp
from tasks.programs.filestore.engine import Engine
from tasks.programs.filestore.settings import Settings
from tasks.programs.gate.files import STAGE
from tests.lab.machine import wait_until
from tests.lab.trouble import LabError
from tests.stack import free_port

TABLE = """
CREATE TABLE ir_attachment (
    id serial PRIMARY KEY, name text, res_model text, res_id int, create_uid int,
    create_date timestamp DEFAULT now(), store_fname text, file_size int
);
CREATE TABLE res_partner (id serial PRIMARY KEY, name text);
CREATE TABLE res_users (id serial PRIMARY KEY, partner_id int);
INSERT INTO res_partner (name) VALUES ('Ana');
INSERT INTO res_users (partner_id) VALUES (1);
"""
CONF = """
listen_addresses = ''
unix_socket_directories = '{socket}'
port = {port}
wal_level = replica
max_connections = 300
max_wal_senders = 5
max_prepared_transactions = 20
wal_log_hints = on
{keep}
hot_standby = on
max_standby_streaming_delay = 2s
fsync = off
shared_buffers = 64MB
autovacuum_naptime = 2s
"""


DEBIAN = Path("/usr/lib/postgresql")
KEEPS_BY_SIZE = FORCES = 13  # the release of wal_keep_size, and of DROP DATABASE (FORCE)


def tools() -> Path:
    """PostgreSQL's programs: in the folder that was chosen, else this machine's newest."""
    if chosen := os.environ.get("RELEVO_ENGINE_POSTGRES"):
        return Path(chosen)
    found = sorted(DEBIAN.glob("*/bin"), key=lambda p: int(p.parent.name))
    if not found:
        raise LabError("PostgreSQL is not installed", hint="run `make setup` as root")
    return found[-1]


def program(name: str) -> Path:
    """One of PostgreSQL's programs; a package of npm's has but the server's own."""
    found = tools() / name
    if not found.exists():
        pytest.skip(f"these programs of PostgreSQL have no {name}")
    return found


def is_packaged() -> bool:
    """Whether Debian's pg_createcluster knows the release."""
    return tools().parents[1] == DEBIAN


def as_postgres(*command: object) -> str:
    done = subprocess.run(
        ["runuser", "-u", "postgres", "--", *map(str, command)],
        check=False, capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """One cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.data, self.socket = folder / "data", folder / "socket"
        self.socket.mkdir(parents=True)
        for path in (folder, self.socket):
            shutil.chown(path, "postgres", "postgres")

    def make(self) -> None:
        as_postgres(tools() / "initdb", "-A", "trust", "-U", "postgres", "-D", self.data)
        self.configure()

    def configure(self) -> None:
        keep = "wal_keep_segments = 16" if self.version < KEEPS_BY_SIZE else "wal_keep_size = 256MB"
        conf = CONF.format(socket=self.socket, port=self.port, keep=keep)
        (self.data / "postgresql.conf").write_text(conf)

    @property
    def version(self) -> int:
        return int((self.data / "PG_VERSION").read_text())

    def follow(self, primary: "Server") -> None:
        """What pg_basebackup -R does; a newer one writes words that an older libpq refuses."""
        conninfo = f"host={primary.socket} port={primary.port} user=postgres"
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{conninfo}'\n")
        (self.data / "standby.signal").touch()
        shutil.chown(self.data / "standby.signal", "postgres", "postgres")

    def start(self) -> None:
        self.control("-l", self.socket / "log", "start")

    def stop(self, mode: str = "fast") -> None:
        if (self.data / "postmaster.pid").exists():
            self.control("-m", mode, "stop")

    def restart(self) -> None:
        self.stop()
        self.start()

    def control(self, *words: object) -> None:
        as_postgres(tools() / "pg_ctl", "-D", self.data, "-w", *words)

    def dsn(self, database: str = "postgres", role: str = "postgres") -> str:
        return f"host={self.socket} port={self.port} user={role} dbname='{database}'"

    def connect(self, database: str = "shop") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.dsn(database), autocommit=True)

    def sql(self, statement: str, database: str = "shop") -> list[tuple[object, ...]]:
        with self.connect(database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def drop(self, database: str) -> None:
        """Drop a database, with the sessions in it."""
        if ended := self.version < FORCES:
            theirs = f"FROM pg_stat_activity WHERE datname = '{database}'"
            self.sql(f"SELECT pg_terminate_backend(pid) {theirs}", "postgres")
        name = database.replace('"', '""')
        self.sql(f'DROP DATABASE "{name}"{"" if ended else " (FORCE)"}', "postgres")


class Twins:
    """A primary with its standby, an origin's filestore and the recovery's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        self.primary = Server(folder / "primary")
        self.standby = Server(folder / "standby")
        self.data = folder / "origin"
        self.theirs = self.data / "filestore"
        self.quarantine = folder / "quarantine"
        self.until = folder / "until"
        self.ours = folder / "recovery" / "filestore"
        self.near_wrap = False
        for path in (self.theirs, self.quarantine, self.ours):
            path.mkdir(parents=True)

    def start(self, *, xid: int = 0) -> "Twins":
        self.near_wrap = bool(xid)
        self.primary.make()
        if xid:
            self._near_wrap(xid)
        self.primary.start()
        self.primary.sql("CREATE ROLE odoo LOGIN CREATEDB", "postgres")
        self.create("shop")
        self.seed()
        return self

    def _near_wrap(self, xid: int) -> None:
        """Let a new cluster have used up nearly all of its transaction ids."""
        self.primary.start()
        as_postgres(
            program("vacuumdb"), "-h", self.primary.socket, "-p", self.primary.port, "-aF", "-q"
        )
        self.primary.stop()
        as_postgres(program("pg_resetwal"), "-D", self.primary.data, "-x", xid)
        segment = self.primary.data / "pg_xact" / f"{xid // (8192 * 4 * 32):04X}"
        segment.write_bytes(bytes(8192 * 32))
        shutil.chown(segment, "postgres", "postgres")

    def create(self, database: str, template: str = "template1") -> None:
        self.primary.sql(f'CREATE DATABASE "{database}" OWNER odoo TEMPLATE {template}', "postgres")
        if template == "template1":
            self.primary.sql(f"SET ROLE odoo; {TABLE}", database)

    def seed(self) -> None:
        """Clone the primary anew."""
        self.standby.stop()
        shutil.rmtree(self.standby.data, ignore_errors=True)
        as_postgres(
            program("pg_basebackup"), "-h", self.primary.socket, "-p", self.primary.port,
            "-U", "postgres", "-D", self.standby.data, "-c", "fast", "-X", "stream",
        )  # fmt: skip
        self.standby.configure()
        self.standby.follow(self.primary)
        self.standby.start()

    def stop(self) -> None:
        for server in (self.standby, self.primary):
            server.stop("immediate")

    def store(self, content: bytes, database: str = "shop") -> tuple[str, int]:
        """Write a file at the origin as Odoo does; give its store_fname and its size."""
        digest = hashlib.sha1(content).hexdigest()
        path = self.theirs / database / digest[:2] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"{digest[:2]}/{digest}", len(content)

    def attach(self, *contents: bytes, database: str = "shop") -> list[str]:
        """Save documents at the origin."""
        names = []
        with self.primary.connect(database) as connection:
            for content in contents:
                name, size = self.store(content, database)
                connection.execute(
                    "INSERT INTO ir_attachment (name, res_model, res_id, create_uid, store_fname,"
                    " file_size) VALUES (%s, 'res.partner', 1, 1, %s, %s)",
                    (f"document {len(content)}", name, size),
                )
                names.append(name)
        return names

    def catch_up(self) -> None:
        """Wait until the standby has replayed what the primary has written."""
        lsn = str(self.primary.sql("SELECT pg_current_wal_lsn()", "postgres")[0][0])
        sql = f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'"
        wait_until(lambda: self.standby.sql(sql, "postgres")[0][0] is True, f"replay to {lsn}")

    def catch_up_or_wait_for_a_lock(self) -> None:
        """Wait until the standby has replayed all, or waits for a reader that is in the way."""
        lsn = str(self.primary.sql("SELECT pg_current_wal_lsn()", "postgres")[0][0])
        sql = (
            f"SELECT pg_last_wal_replay_lsn() >= '{lsn}' "
            "OR EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        )
        wait_until(lambda: self.standby.sql(sql, "postgres")[0][0] is True, f"replay to {lsn}")

    def gate(self) -> tuple[str, ...]:
        """The origin's door, without an ssh before it."""
        script = self.folder / "gate"
        main = rsync_gate.render(
            instance="vps_1",
            read=[PurePosixPath(self.data)],
            write=[PurePosixPath(self.data), PurePosixPath(self.quarantine)],
            until=PurePosixPath(self.until),
        )
        script.write_bytes(zipapp.pack("gate", main=main))
        return (sys.executable, "-IS", str(script), "relevo files")

    def open(self, purpose: str) -> None:
        """Open the door for writing, as the runner does."""
        self.until.write_text(f"{purpose} {time.time() + 60:.0f}\n")

    def settings(self, **more: object) -> Settings:
        facts: dict[str, object] = {
            "instance": "vps_1", "origin": "uno", "socket": str(self.standby.socket),
            "port": self.standby.port, "role": "odoo", "filestore": str(self.ours),
            "work": str(self.folder / "recovery" / "work"),
            "trash": str(self.folder / "recovery" / "trash"),
            "channel": self.gate(), "grace_seconds": 0.0, "max_deleted_share": 0.5,
        }  # fmt: skip
        return Settings(**{**facts, **more})  # type: ignore[arg-type]

    @contextlib.contextmanager
    def engine(self, *, serving: bool = False, **more: object) -> Iterator[Engine]:
        made = Engine(self.settings(**more), serving=serving)
        try:
            yield made
        finally:
            made.close()

    def has(self, name: str, database: str = "shop") -> bool:
        """Whether the recovery side has this file, with the right content."""
        path = self.ours / database / name
        return path.exists() and hashlib.sha1(path.read_bytes()).hexdigest() == path.name

    def wrong(self, below: Path | None = None) -> list[Path]:
        """Files under a final name whose content is not what the name says."""
        return [
            Path(folder) / name
            for folder, _, names in os.walk(below or self.ours)
            if not folder.endswith(STAGE)
            for name in names
            if hashlib.sha1((Path(folder) / name).read_bytes()).hexdigest() != name
        ]
