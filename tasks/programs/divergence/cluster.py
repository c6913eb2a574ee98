"""The data directory, started as a standby of nobody, and asked."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bounded import run

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 600
ASK_SECONDS, ASK_BYTES = 3600, 64 << 20
UTF8 = {"PGCLIENTENCODING": "UTF8"}
STILL = 5  # looks at which the replay has not moved
EVENT_TRIGGERS = 17  # the release in which they can be switched off, and in which a login has some
NO_STATISTICS = 15  # the release that keeps no statistics in files while it runs
# In force whatever a database or a role was given with ALTER ... SET.
PINNED = (
    "-c search_path=pg_catalog,pg_temp -c statement_timeout=1h -c lock_timeout=30s "
    "-c local_preload_libraries= -c role=none -c row_security=off -c jit=off "
    "-c default_transaction_read_only=on -c client_min_messages=warning -c DateStyle=ISO"
)


class NotRead(Exception):
    """A database does not answer a question."""


@contextlib.contextmanager
def started(config: dict[str, Any]) -> Iterator[Path]:
    """Start the directory as a standby of nobody, reachable by nobody but us; give its socket."""
    directory = Path(config["directory"])
    socket = Path(tempfile.mkdtemp(prefix="relevo-divergence-"))
    (socket / "pg_hba.conf").write_text("local all all trust\n")  # the folder lets nobody else in
    (directory / "postmaster.pid").unlink(missing_ok=True)
    (directory / "standby.signal").touch()
    pg_ctl = [config["bin"] + "/pg_ctl", "-D", str(directory)]
    try:
        start(pg_ctl, settings(config, socket), str(socket / "log"))
        wait_until_replayed(config, socket)
        yield socket
    finally:
        stop = [*pg_ctl, "-w", "-m", "fast", "stop"]
        subprocess.run(stop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        (directory / "standby.signal").unlink()
        shutil.rmtree(socket, ignore_errors=True)


def settings(config: dict[str, Any], socket: Path) -> dict[str, object]:
    """Give the settings with which nothing outside of the directory is read, asked or changed."""
    return {
        "config_file": config["config_file"],
        "data_directory": Path(config["directory"]),
        "hba_file": socket / "pg_hba.conf",
        "listen_addresses": "",
        "port": config["port"],
        "unix_socket_directories": socket,
        "external_pid_file": "",
        "hot_standby": "on",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "restore_command": "",
        "recovery_target_timeline": "current",
        "archive_mode": "off",
        "ssl": "off",
        "logging_collector": "off",
        "cluster_name": "relevo_divergence",
        **({"stats_temp_directory": "pg_stat_tmp"} if config["version"] < NO_STATISTICS else {}),
    }


def start(pg_ctl: list[str], settings: dict[str, object], log: str) -> None:
    """Start the cluster and wait until it answers; end with its last words where it does not."""
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    begin = [*pg_ctl, "-w", "-t", str(START_SECONDS), "-l", log, "-o", options, "start"]
    done = subprocess.run(begin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        with open(log, "rb") as said:
            said.seek(max(os.path.getsize(log) - 2000, 0))
            sys.exit(said.read(2000).decode("utf-8", "replace"))


def wait_until_replayed(config: dict[str, Any], socket: Path) -> None:
    """Wait until nothing more is replayed: the directory has no more WAL than it has."""
    last, still = "", 0
    deadline = time.monotonic() + START_SECONDS
    while still < STILL and time.monotonic() < deadline:
        now = ask(config, socket, "postgres", "SELECT pg_last_wal_replay_lsn()")
        still = still + 1 if now == last else 0
        last = now
        time.sleep(0.3)


def psql(
    config: dict[str, Any], socket: Path, database: str, role: str, names: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Say how a role is asked; `names` are psql's variables, which it quotes in :"name"."""
    variables = [word for name, value in names.items() for word in ("-v", f"{name}={value}")]
    options = PINNED
    if role == "postgres" and config["version"] >= EVENT_TRIGGERS:
        options += " -c event_triggers=off"
    env = {
        **os.environ, **UTF8, "PGHOST": str(socket), "PGUSER": role,
        "PGPORT": str(config["port"]), "PGDATABASE": database, "PGOPTIONS": options,
    }  # fmt: skip
    return [config["bin"] + "/psql", "-XAtq", "-w", "-v", "ON_ERROR_STOP=1", *variables], env


def ask(
    config: dict[str, Any],
    socket: Path,
    database: str,
    sql: str,
    *,
    role: str = "postgres",
    **names: str,
) -> str:
    """Ask as a role; what a customer's is asked for is asked as its owner."""
    argv, env = psql(config, socket, database, role, names)
    try:
        done = run(
            argv, stdin=sql.encode("utf-8", "surrogateescape"), seconds=ASK_SECONDS,
            limit=ASK_BYTES, env=env,
        )  # fmt: skip
    except OSError as error:
        raise NotRead(f"{database!r}: {error.strerror}") from error
    if done.status != 0:
        raise NotRead(f"{database!r}: {done.said}")
    return done.out.decode("utf-8", "surrogateescape").rstrip("\n")


def save(
    config: dict[str, Any],
    socket: Path,
    database: str,
    sql: str,
    path: Path,
    *,
    role: str,
    **names: str,
) -> None:
    """Write an answer to a file as it comes, however long it is."""
    argv, env = psql(config, socket, database, role, names)
    with tempfile.TemporaryFile() as asked, path.open("wb") as file:
        asked.write(sql.encode("utf-8", "surrogateescape"))
        asked.seek(0)
        done = subprocess.run(
            argv, stdin=asked, stdout=file, stderr=subprocess.DEVNULL, check=False, env=env
        )
    if done.returncode != 0:
        raise NotRead(f"{database!r}: {path.name} could not be written")
