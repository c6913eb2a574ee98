"""What pg_control of a real standby says beyond a fork, and which way it can really go."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.postgres.controldata import parse
from tasks.postgres.wal import Leader, Lsn
from tasks.standby.way import way
from tests.engine.clusters import as_postgres, program, tools

# Arguments: the programs, a folder. `one` is promoted; `two` goes on with what `origin` writes.
SCRIPT = """
bin=$1; cd "$2"
up() { "$bin/pg_ctl" -D $1 -o "-p $2" -l $1.log -w start >/dev/null; }
say() { "$bin/psql" -h "$PWD" -p $1 -XqAt -v ON_ERROR_STOP=1 -c "$2" postgres; }
came() { for _ in $(seq 300); do [ "$(say $1 "$2")" = t ] && return; sleep 0.1; done; exit 1; }
control() { LC_ALL=C "$bin/pg_controldata" $1 >$2.txt; }
"$bin/initdb" -D origin -A trust -N >/dev/null
printf '%s\\n' "unix_socket_directories = '$PWD'" "listen_addresses = ''" 'wal_log_hints = on' \
    'fsync = off' 'checkpoint_timeout = 1h' >>origin/postgresql.conf
up origin 7001
for each in one two; do
    "$bin/pg_basebackup" -h "$PWD" -p 7001 -D $each -R -X stream -c fast
done
up one 7002; up two 7003
say 7002 "SELECT pg_create_physical_replication_slot('two', true)" >/dev/null  # keeps WAL
say 7001 'CREATE TABLE common AS SELECT 1 AS n'
came 7002 "SELECT to_regclass('common') IS NOT NULL"
say 7002 'SELECT pg_promote()' >/dev/null
say 7002 'CREATE TABLE led AS SELECT 1 AS n'
say 7002 CHECKPOINT
say 7001 'CREATE TABLE beyond AS SELECT generate_series(1, 20000) AS n'
came 7003 "SELECT to_regclass('beyond') IS NOT NULL"
"$bin/pg_ctl" -D two -m fast -w stop >/dev/null
control two stopped
cp -a two killed
up killed 7003
"$bin/pg_ctl" -D killed -m immediate -w stop >/dev/null
control killed killed
rm -f killed/postmaster.pid
"$bin/postgres" --single -D killed postgres </dev/null >single.txt 2>&1 || true
"$bin/pg_rewind" -D two --source-server="host=$PWD port=7002 dbname=postgres" 2>rewind.txt
touch two/standby.signal
echo "primary_conninfo = 'host=$PWD port=7002'" >>two/postgresql.auto.conf
up two 7003
came 7003 "SELECT to_regclass('led') IS NOT NULL AND to_regclass('beyond') IS NULL"
say 7002 'CREATE TABLE more AS SELECT generate_series(1, 20000) AS n'
came 7003 "SELECT to_regclass('more') IS NOT NULL"
"$bin/pg_ctl" -D two -m immediate -w stop >/dev/null
control two followed
say 7002 "SELECT system_identifier || ' ' || pg_current_wal_lsn() FROM pg_control_system()"
cut -f 2 one/pg_wal/00000002.history
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    for name in ("pg_basebackup", "pg_controldata", "pg_rewind", "psql"):
        program(name)
    made = Path(tempfile.mkdtemp(prefix="relevo-rejoin-"))
    shutil.chown(made, "postgres")
    yield made
    for each in ("origin", "one", "two", "killed"):
        stop = f"'{tools()}/pg_ctl' -D {made}/{each} -m immediate stop || true"
        as_postgres("sh", "-c", stop)
    shutil.rmtree(made)


def test_a_standby_beyond_the_fork_goes_the_way_that_postgresql_lets_it_go(folder: Path) -> None:
    said = as_postgres("bash", "-ec", SCRIPT, "script", tools(), folder).split()
    leader = Leader(said[0], 2, {1: Lsn.parse(said[2])}, Lsn.parse(said[1]))
    stopped, killed, followed = (
        parse((folder / f"{name}.txt").read_text()) for name in ("stopped", "killed", "followed")
    )

    assert way(stopped, leader, rewind="").kind == "rewind"
    assert "Done!" in (folder / "rewind.txt").read_text(), "with no recovery before it"
    assert way(killed, leader, rewind="").kind == "reclone"
    assert "not supported by single-user" in (folder / "single.txt").read_text()
    assert (followed.timeline, followed.last_timeline) == (1, 2), "it made no restartpoint yet"
    assert way(followed, leader, rewind="").kind == "follow"
