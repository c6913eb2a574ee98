"""What differs from release to release, asked of the PostgreSQL that is here."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.postgres import controldata
from tasks.programs.divergence.wal import Story, read_wal
from tests import releases
from tests.engine.clusters import Server, as_postgres, program, tools

AFTER = """
CREATE TABLE kept AS SELECT generate_series(1, 3) AS n;
UPDATE kept SET n = 10 WHERE n = 1; DELETE FROM kept WHERE n = 2;
BEGIN; INSERT INTO kept VALUES (20); SAVEPOINT s; INSERT INTO kept VALUES (21); COMMIT;
BEGIN; INSERT INTO kept VALUES (30); ROLLBACK;
BEGIN; INSERT INTO kept VALUES (40); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p';
"""


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="relevo-release-tests-"))
    folder.chmod(0o755)
    made = Server(folder / "one")
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def test_every_setting_of_ours_is_known_to_the_release(server: Server) -> None:
    known = {str(name) for (name,) in server.sql("SELECT name FROM pg_settings", "postgres")}
    here = releases.settings(server.version)
    assert {name.lower() for name in here} - {name.lower() for name in known} - {"role"} == set()
    assert server.version in releases.RELEASES


def test_what_pg_controldata_says_is_read(server: Server) -> None:
    server.stop()
    said = as_postgres("env", "LC_ALL=C", program("pg_controldata"), "-D", server.data)
    found = controldata.parse(said)
    assert (found.state, found.timeline, found.rewindable) == ("shut down", 1, True)
    assert found.limits.keys() == controldata.LIMITS.keys()


def _told(server: Server, fork: str) -> Story:
    """Let a stopped cluster's WAL be read as that of a former primary."""
    config = {"bin": str(tools()), "directory": str(server.data), "timeline": 1, "fork": fork}
    return read_wal(config)


def test_the_wal_tells_what_was_committed_after_a_fork(server: Server) -> None:
    program("pg_waldump")
    server.sql("CREATE TABLE before AS SELECT 1 AS n", "postgres")
    fork = str(server.sql("SELECT pg_current_wal_insert_lsn()", "postgres")[0][0])
    with server.connect("postgres") as session:
        for statement in filter(None, map(str.strip, AFTER.split(";"))):
            session.execute(statement.encode())
    row = server.sql(
        "SELECT d.oid::int, pg_relation_filenode('kept')::int FROM pg_database d"
        " WHERE datname = current_database()",
        "postgres",
    )[0]
    server.stop()

    story = _told(server, fork)

    assert story.touched()[int(str(row[0])), int(str(row[1]))] == {
        "inserted": 6, "updated": 1, "deleted": 1,
    }  # fmt: skip
    assert story.reaches_back


def test_wal_that_ends_at_the_fork_tells_of_nothing(server: Server) -> None:
    program("pg_waldump")
    server.sql("CREATE TABLE before AS SELECT 1 AS n", "postgres")
    fork = str(server.sql("SELECT pg_current_wal_flush_lsn()", "postgres")[0][0])
    server.stop("immediate")

    assert _told(server, fork).committed == set()
