#!/usr/bin/python3
"""Write down what only a former primary has: the rows that it committed after the fork.

Written by Relevo; runs as postgres, with python3.8 and PostgreSQL's own programs.

    divergence CONFIG

The WAL after the fork says which transactions were committed; they may have begun before it, and so
which tables they touched is read from as far back as there is WAL. The
quarantined data directory is then started as a standby of nobody, on a socket of its own in a
folder of its own, with no port; it replays its own WAL, accepts no writes, and is asked for the
rows whose version was written by one of those transactions.

What it cannot see: values that were overwritten, and rows that were deleted. It counts them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bounded import FEW, read_text, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

START_SECONDS = 600
ASK_SECONDS, ASK_BYTES = 3600, 64 << 20
UTF8 = {"PGCLIENTENCODING": "UTF8"}
STILL = 5  # looks at which the replay has not moved
EVENT_TRIGGERS = 17  # the release in which they can be switched off, and in which a login has some
NO_STATISTICS = 15  # the release that keeps no statistics in files while it runs
LINE = re.compile(
    r"^rmgr: (?P<manager>\w+) .*? tx: +(?P<xid>\d+), lsn: (?P<lsn>[0-9A-F/]+), .*?"
    r"desc: (?P<what>[A-Z_+]+) ?(?P<rest>.*)$"
)
RELATION = re.compile(r"\brel \d+/(\d+)/(\d+)\b")
TUPLES = re.compile(r"\b(\d+) tuples|ntuples: (\d+)")
SUBTRANSACTIONS = re.compile(r"subxacts:((?: \d+)+)")
PREPARED = re.compile(r"^(\d+): ")
RUNNING = re.compile(r"; \d+ xacts:((?: \d+)+)")
TOLD = ("rmgr: Heap", "rmgr: Transaction", "rmgr: Standby", "rmgr: XLOG")  # the rest says nothing
SEGMENT = re.compile(r"^[0-9A-F]{24}$")
FIELD = re.compile(r'"(?:[^"]|"")*"|[^,"\n]+')
FORMULA = re.compile(r"\s*[=+@-]|[\t\r\n]")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
KINDS = {
    "INSERT": "inserted", "MULTI_INSERT": "inserted", "UPDATE": "updated",
    "HOT_UPDATE": "updated", "DELETE": "deleted",
}  # fmt: skip


def position(lsn: str) -> int:
    """
    >>> hex(position("1/20"))
    '0x100000020'
    """
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Story:
    """What the WAL tells: who committed after the fork, and what they did to which tables."""

    def __init__(self, fork: int = 0) -> None:
        self.fork = fork
        self.records = 0  # after the fork
        self.running: set[int] | None = None  # at the first moment that the WAL tells of
        self.committed: set[int] = set()
        self.commits: list[str] = []
        self.changes: dict[int, dict[tuple[int, int], dict[str, int]]] = {}

    def read(self, lines: Iterable[str]) -> Story:
        """
        >>> story = Story().read([
        ...  "rmgr: Heap        len (rec/tot):     54/   150, tx:        512, lsn: 0/03000060, "
        ...  "prev 0/03000028, desc: INSERT off 3 flags 0x00, blkref #0: rel 1663/14/16384 blk 0",
        ...  "rmgr: Heap        len (rec/tot):     54/   150, tx:        513, lsn: 0/03000090, "
        ...  "prev 0/03000028, desc: DELETE off 3 flags 0x00, blkref #0: rel 1663/14/16384 blk 0",
        ...  "rmgr: Transaction len (rec/tot):     34/    34, tx:        512, lsn: 0/030000F8, "
        ...  "prev 0/03000060, desc: COMMIT 2026-01-01 10:00:00.5 UTC",
        ...  "rmgr: Transaction len (rec/tot):     34/    34, tx:        513, lsn: 0/03000198, "
        ...  "prev 0/03000060, desc: ABORT 2026-01-01 10:00:00.7 UTC"])
        >>> story.committed, story.touched()
        ({512}, {(14, 16384): {'inserted': 1}})
        """
        for line in lines:
            found = LINE.match(line) if line.startswith(TOLD) else None
            if not found:
                continue
            late = position(found["lsn"]) >= self.fork
            self.records += late
            xid, what, rest = int(found["xid"]), found["what"].split("+")[0], found["rest"]
            if found["manager"] == "Transaction":
                self.end(xid, what, rest, late=late)
            elif what == "RUNNING_XACTS" and self.running is None and not late:
                some = RUNNING.search(rest)
                self.running = set(map(int, some[1].split())) if some else set()
            relation = RELATION.search(rest)
            if relation and found["manager"] in {"Heap", "Heap2"} and what in KINDS:
                mine = self.changes.setdefault(xid, {})
                counts = mine.setdefault((int(relation[1]), int(relation[2])), {})
                many = TUPLES.search(rest) if what == "MULTI_INSERT" else None
                rows = int(many[1] or many[2]) if many else 1
                counts[KINDS[what]] = counts.get(KINDS[what], 0) + rows
        return self

    def end(self, xid: int, what: str, rest: str, *, late: bool) -> None:
        """Note who committed after the fork; whoever ended before it is no news to anybody."""
        prepared = PREPARED.match(rest)
        if prepared:
            xid, rest = int(prepared[1]), rest[prepared.end() :]
        inner = SUBTRANSACTIONS.search(rest)
        all_of_it = {xid, *map(int, inner[1].split() if inner else ())}
        if late and what in {"COMMIT", "COMMIT_PREPARED"}:
            self.committed |= all_of_it
            self.commits.append(rest.split(";")[0].strip())
        elif not late and what in {"COMMIT", "COMMIT_PREPARED", "ABORT", "ABORT_PREPARED"}:
            for each in all_of_it:
                self.changes.pop(each, None)

    @property
    def reaches_back(self) -> bool:
        """Tell whether the WAL begins before every transaction that committed after the fork."""
        if self.running is None:
            return not self.committed
        return not self.running & self.committed

    def touched(self) -> dict[tuple[int, int], dict[str, int]]:
        """Databases and tables, with the changes that were committed."""
        found: dict[tuple[int, int], dict[str, int]] = {}
        for xid in self.committed & self.changes.keys():
            for relation, counts in self.changes[xid].items():
                for kind, number in counts.items():
                    mine = found.setdefault(relation, {})
                    mine[kind] = mine.get(kind, 0) + number
        return found


def read_wal(config: dict[str, Any]) -> Story:
    """Read on from the oldest WAL there is; where it is torn before the fork, from the fork."""
    fork = position(config["fork"])
    start = oldest(Path(config["directory"], "pg_wal"), config["timeline"], fork)
    story = Story(fork)
    said = dump(config, start, story)
    if not story.records and re.search(rf" at {config['fork']}\b", said):
        return story  # what is valid ends there: nothing was written after the fork
    if not story.records and start != fork:
        story = Story(fork)
        said = dump(config, fork, story)
    # It complains in any case where the WAL ends; one that begins with a complaint read nothing.
    if not story.records:
        sys.exit(f"the WAL after the fork at {config['fork']} cannot be read: {said.strip()}")
    return story


def oldest(folder: Path, timeline: int, fork: int) -> int:
    """Find how far back the WAL of a timeline goes without a gap; no further than to the fork."""
    names = [each for each in folder.iterdir() if SEGMENT.match(each.name)]
    ours = [each for each in names if int(each.name[:8], 16) == timeline]
    if not ours:
        return fork
    size = ours[0].stat().st_size
    numbers = {
        int(each.name[8:16], 16) * ((1 << 32) // size) + int(each.name[16:], 16) for each in ours
    }
    number = fork // size
    if number not in numbers:
        return fork
    while number - 1 in numbers:
        number -= 1
    return number * size


def dump(config: dict[str, Any], start: int, story: Story) -> str:
    """Let pg_waldump tell the story from a position on; give its complaints."""
    argv = [
        config["bin"] + "/pg_waldump", "--path", config["directory"] + "/pg_wal",
        "--timeline", str(config["timeline"]), "--start", f"{start >> 32:X}/{start % (1 << 32):X}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=complaints, text=True, errors="replace"
        ) as talk:
            assert talk.stdout is not None, "it was asked for"
            story.read(talk.stdout)
        complaints.seek(0)
        return complaints.read(FEW).decode("utf-8", "replace")


@contextlib.contextmanager
def started(config: dict[str, Any]) -> Iterator[Path]:
    """Start the directory as a standby of nobody, reachable by nobody but us; give its socket."""
    directory = Path(config["directory"])
    socket = Path(tempfile.mkdtemp(prefix="relevo-divergence-"))
    (socket / "pg_hba.conf").write_text("local all all trust\n")  # the folder lets nobody else in
    (directory / "postmaster.pid").unlink(missing_ok=True)
    (directory / "standby.signal").touch()
    settings = {
        "config_file": config["config_file"],
        "data_directory": directory,
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
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    pg_ctl = [config["bin"] + "/pg_ctl", "-D", str(directory)]
    log = str(socket / "log")
    try:
        begin = [*pg_ctl, "-w", "-t", str(START_SECONDS), "-l", log, "-o", options, "start"]
        done = subprocess.run(
            begin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            with open(log, "rb") as said:
                said.seek(max(os.path.getsize(log) - 2000, 0))
                sys.exit(said.read(2000).decode("utf-8", "replace"))
        wait_until_replayed(config, socket)
        yield socket
    finally:
        stop = [*pg_ctl, "-w", "-m", "fast", "stop"]
        subprocess.run(stop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        (directory / "standby.signal").unlink()
        shutil.rmtree(socket, ignore_errors=True)


def wait_until_replayed(config: dict[str, Any], socket: Path) -> None:
    """Wait until nothing more is replayed: the directory has no more WAL than it has."""
    last, still = "", 0
    deadline = time.monotonic() + START_SECONDS
    while still < STILL and time.monotonic() < deadline:
        now = ask(config, socket, "postgres", "SELECT pg_last_wal_replay_lsn()")
        still = still + 1 if now == last else 0
        last = now
        time.sleep(0.3)


class NotRead(Exception):
    """A database does not answer a question."""


# In force whatever a database or a role was given with ALTER ... SET.
PINNED = (
    "-c search_path=pg_catalog,pg_temp -c statement_timeout=1h -c lock_timeout=30s "
    "-c local_preload_libraries= -c role=none -c row_security=off -c jit=off "
    "-c default_transaction_read_only=on -c client_min_messages=warning -c DateStyle=ISO"
)


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


DATABASES = """
SELECT json_object_agg(oid, json_build_array(datname, pg_get_userbyid(datdba)))
FROM pg_database WHERE datallowconn
"""
TABLES = """
SELECT coalesce(json_agg(t), '[]') FROM (
    SELECT pg_relation_filenode(c.oid)::bigint AS node, n.nspname AS schema, c.relname AS name,
        pg_get_userbyid(c.relowner) AS owner, c.relkind AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
) AS t
"""  # noqa: E501
MODELS = """
SELECT coalesce(json_object_agg(replace(model, '.', '_'), model), '{}') FROM public.ir_model
"""
ROWS = """
SELECT count(*) FROM :"schema".:"table" WHERE xmin::text::bigint = ANY(:'xids'::bigint[]);
"""
CSV = """
COPY (SELECT * FROM :"schema".:"table" WHERE xmin::text::bigint = ANY(:'xids'::bigint[]))
TO STDOUT (FORMAT csv, HEADER);
"""


def export(
    config: dict[str, Any], socket: Path, story: Story
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write one CSV a table; return what was found where, and what could not be read."""
    found: list[dict[str, Any]] = []
    unread: list[str] = []
    databases = json.loads(ask(config, socket, "postgres", DATABASES))
    touched = story.touched()
    for oid in sorted({database for database, _ in touched}):
        database, owner = databases.get(str(oid), (None, ""))
        if database is None:
            continue
        mine = {node: counts for (where, node), counts in touched.items() if where == oid}
        try:
            tables = json.loads(ask(config, socket, database, TABLES, role=owner))
            models = read_models(config, socket, database, tables)
        except NotRead as error:
            unread.append(str(error))
            continue
        for table in sorted(tables, key=lambda each: int(each["node"] or 0)):
            if table["node"] in mine:
                rows, why = write_rows(config, socket, database, table, story.committed)
                unread += why
                found.append({
                    "database": database,
                    "table": f"{table['schema']}.{table['name']}",
                    "model": models.get(table["name"], ""),
                    "rows": rows,
                    **{
                        kind: mine[table["node"]].get(kind, 0)
                        for kind in ("inserted", "updated", "deleted")
                    },
                })  # fmt: skip
    return found, unread


def read_models(
    config: dict[str, Any], socket: Path, database: str, tables: list[dict[str, Any]]
) -> dict[str, str]:
    """Read Odoo's names of the tables, as the owner of the table that holds them."""
    for each in tables:
        if (each["schema"], each["name"]) == ("public", "ir_model"):
            models: dict[str, str] = json.loads(
                ask(config, socket, database, MODELS, role=each["owner"])
            )
            return models
    return {}


def write_rows(
    config: dict[str, Any], socket: Path, database: str, table: dict[str, Any], xids: set[int]
) -> tuple[int, list[str]]:
    """Write the rows whose version one of these transactions wrote; return how many, or why not.

    They are asked for as the table's owner: what an index or a type calls, that role has made.
    """
    names = {"role": table["owner"], "schema": table["schema"], "table": table["name"]}
    # Numbers of our own; as an argument they could be too long.
    given = "\\set xids {" + ",".join(map(str, sorted(xids))) + "}\n"
    try:
        rows = int(ask(config, socket, database, given + ROWS, **names))
        if rows:
            folder = Path(config["output"], plain(database))
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{plain(table['schema'])}.{plain(table['name'])}.csv"
            raw = path.with_suffix(".raw")
            save(config, socket, database, given + CSV, raw, **names)
            tame_file(raw, path)
    except NotRead as error:
        return 0, [f"{table['schema']}.{table['name']} of {error}"]
    return rows, []


def tame_file(raw: Path, path: Path) -> None:
    """Write an export anew so that no spreadsheet takes a text in it for a formula."""
    with contextlib.ExitStack() as opened:
        read = opened.enter_context(
            raw.open(encoding="utf-8", errors="surrogateescape", newline="")
        )
        written = opened.enter_context(
            path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
        )
        record = ""
        for line in read:
            record += line
            if record.count('"') % 2 == 0:  # a quoted field may go on in the next line
                written.write(tame(record))
                record = ""
        written.write(tame(record))
    raw.unlink()


def tame(text: str) -> str:
    r"""Keep a spreadsheet from taking a customer's text for a formula; numbers stay numbers.

    >>> print(tame('id,name\n-5,"=A1+1,2"\n,"a ""b"" c"\n"","+34 600"'))
    id,name
    -5,"'=A1+1,2"
    ,"a ""b"" c"
    "","'+34 600"
    >>> tame('"@x",=1,a=b'), tame('"a\n=b",-')
    ('"\'@x",\'=1,a=b', '"a\n=b",\'-')
    """
    return FIELD.sub(_tamed, text)


def _tamed(found: re.Match[str]) -> str:
    field = found[0]
    quote = '"' if field.startswith('"') else ""
    inside = field[1:] if quote else field
    if not FORMULA.match(inside) or NUMBER.fullmatch(field):
        return field
    return f"{quote}'{inside}"


def sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder's names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def plain(name: str) -> str:
    """Make a file's name of any database's or table's.

    >>> plain("a/b..c"), plain("res_partner")
    ('a_b__c', 'res_partner')
    """
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def main(argv: list[str]) -> int:
    config = json.loads(read_text(argv[0]))
    output = Path(config["output"])
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    story = read_wal(config)
    found: list[dict[str, Any]] = []
    unread: list[str] = []
    if story.touched():
        with started(config) as socket:
            found, unread = export(config, socket, story)
    summary = {
        "fork": config["fork"],
        "transactions": len(story.commits),
        "first": story.commits[0] if story.commits else "",
        "last": story.commits[-1] if story.commits else "",
        "reaches_back": story.reaches_back,
        "tables": found,
        "unread": unread,
    }
    beside = output / "summary.json.new"
    beside.write_text(json.dumps(summary, indent=2) + "\n")
    for path in (*output.rglob("*"), output):  # with the summary, all that it speaks of
        sync(path)
    beside.rename(output / "summary.json")
    sync(output)
    print(f"{len(found)} tables, {sum(each['rows'] for each in found)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
