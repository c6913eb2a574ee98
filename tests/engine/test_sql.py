"""Questions to a real PostgreSQL: whose rights they have, what a customer can do to them, and how
a session that has died is replaced."""

import os
import pickle
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import psycopg
import pytest

from blocks import pinned, relay, session, sql
from blocks.cluster import Cluster
from blocks.errors import Busy, StatementFailed, Unreachable
from blocks.host import Host
from blocks.instance import Place
from blocks.lease import HELD, Lease
from blocks.odoo import Odoo
from blocks.shell import Shell
from blocks.sql import Identifier, Literal, compose
from tasks.filestore import documents
from tasks.odoo import customers
from tasks.postgres import observe
from tasks.postgres.wal import Lsn
from tasks.programs.divergence.rows import export
from tasks.programs.divergence.wal import Story
from tasks.readiness import compatibility
from tasks.run.document import Document
from tests.engine.clusters import TABLE, Server, tools
from tests.engine.local import LocalShell, cluster_of

NO_NEWLINES = 19  # the release that lets no name have one
# What a customer's role, no superuser, may do with its own database; who ran it is told by a
# sequence, which no rollback and no read-only transaction of its own undoes.
EVIL = """
CREATE TABLE public.ir_module_module (name text, state text);
CREATE SCHEMA evil;
CREATE TABLE evil.ran (who text);
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One cluster; a customer's role may make databases in it, and enters only by peer."""
    folder = Path(tempfile.mkdtemp(prefix="relevo-sql-tests-"))
    folder.chmod(0o755)
    made = Server(folder / "one")
    try:
        made.make()
        conf = (made.data / "postgresql.conf").read_text()
        (made.data / "postgresql.conf").write_text(conf + "max_connections = 60\n")
        made.start()
        made.sql("CREATE ROLE odoo LOGIN CREATEDB", "postgres")
        yield made
    finally:
        made.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shell() -> Iterator[LocalShell]:
    made = LocalShell()
    yield made
    made.close()


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return cluster_of(server)


@pytest.fixture
def place(
    server: Server, shell: LocalShell, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A place whose Odoo is the system user `postgres` here, and the role `odoo` by its conf."""
    conf = server.folder / "odoo.conf"
    conf.write_text("[options]\ndb_user = odoo\ndb_password = False\n")
    host = Host(name="here", address="127.0.0.1", peer_address="127.0.0.1")

    def ours(self: Host) -> Shell:
        return shell

    monkeypatch.setattr(Host, "shell", ours)
    odoo = Odoo(user="postgres", config=PurePosixPath(conf), data_dir=PurePosixPath(server.folder))
    server.sql("CREATE DATABASE shop OWNER odoo", "postgres")
    server.sql(f"SET ROLE odoo; {TABLE}", "shop")
    yield Place(kind="origin", host=host, cluster=cluster, odoo=odoo)
    for (name,) in server.sql(
        "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'",
        "postgres",
    ):
        server.drop(str(name))


def test_values_are_values(cluster: Cluster, shell: LocalShell) -> None:
    given = ('it\'s \\ "$1"; DROP ROLE odoo', 7, True, None, ["a,b", 'c"d', "{}"])
    row = cluster.query(
        shell,
        "SELECT $1::text AS words, $2::bigint AS number, $3::bool AS yes, $4::text AS nothing,"
        " $5::text[] = ARRAY['a,b', 'c\"d', '{}'] AS same, 1.5 AS part, '1/0'::pg_lsn AS lsn",
        *given,
    )[0]
    assert list(row.values())[:-1] == [*given[:4], True, 1.5]
    assert Lsn.parse(str(row["lsn"])) == Lsn(1 << 32), "1/00000000 from PostgreSQL 19 on"
    assert cluster.value(shell, "SELECT NULL") == ""
    assert cluster.query(shell, "SELECT FROM pg_class WHERE false") == []
    assert cluster.query(shell, "SELECT FROM generate_series(1, 2)") == [{}, {}]


def test_what_takes_no_parameters_is_quoted(cluster: Cluster, shell: LocalShell) -> None:
    word = 'it\'s \\ a "word"'
    comment = compose("COMMENT ON ROLE {r} IS {w}", r=Identifier("odoo"), w=Literal(word))
    cluster.execute(shell, comment, settings={"synchronous_commit": "on"})
    asked = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1"
    assert cluster.value(shell, asked, "odoo") == word


@pytest.mark.parametrize("superuser", [True, False])
def test_every_setting_of_ours_is_in_force_and_nobody_else_s(
    server: Server, shell: LocalShell, place: Place, *, superuser: bool
) -> None:
    """Neither ALTER ROLE nor ALTER DATABASE nor ALTER SYSTEM keeps us out or slows us down."""
    role, database = ("postgres", "postgres") if superuser else ("odoo", "shop")
    evil = {
        "statement_timeout": "1", "local_preload_libraries": "nope", "search_path": "evil",
        "default_transaction_read_only": "on", "lock_timeout": "1",
    }  # fmt: skip
    if superuser:
        evil |= {"session_preload_libraries": "nope", "role": "odoo", "log_statement": "all"}
    cluster = place.cluster
    login = cluster.login
    if not superuser:
        login = cluster.login_of(role, user="postgres", database=database)
    told = pinned.settings(
        version=cluster.version, superuser=superuser, writes=superuser, seconds=60
    )
    asked = "SELECT name, setting, source FROM pg_settings WHERE name = ANY($1)"
    try:
        for name, value in evil.items():
            cluster.execute(shell, f"ALTER ROLE {role} SET {name} = '{value}'")
        session.forget(shell)  # what is kept had begun before
        rows = shell.ask(login, sql.Question(asked, (list(told),)))
    finally:
        cluster.execute(shell, f"ALTER ROLE {role} RESET ALL")
    assert {row["source"] for row in rows} == {"client"}
    assert {str(row["name"]) for row in rows} == told.keys() - {"role"}
    found = {str(row["name"]): row["setting"] for row in rows}
    assert found["search_path"] == "pg_catalog,pg_temp"
    assert found["local_preload_libraries"] == ""


def test_h2_a_view_in_place_of_a_table_runs_as_the_customer_alone(
    server: Server, place: Place
) -> None:
    server.sql(
        f"SET ROLE odoo; {EVIL}"
        "DROP TABLE public.ir_attachment;"
        "CREATE SEQUENCE evil.seen;"
        "CREATE FUNCTION evil.become() RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
        "  BEGIN EXECUTE 'SET ROLE postgres'; EXCEPTION WHEN OTHERS THEN NULL; END;"
        "  BEGIN EXECUTE 'SET SESSION AUTHORIZATION postgres';"
        "    EXCEPTION WHEN OTHERS THEN NULL; END;"
        "  RETURN session_user || ' ' || current_user; END $$;"
        "CREATE VIEW public.ir_attachment AS SELECT 1 AS id, evil.become() AS name,"
        " NULL::text AS res_model, 1 AS res_id, 1 AS create_uid, now() AS create_date,"
        " 'ab/' || repeat('ab', 20) AS store_fname",
        "shop",
    )
    found = customers.odoo(place, customers.DOCUMENTS)
    assert [each.name for each in found.databases] == ["shop"]
    said = documents._documents(found.databases[0], ["ab/" + "ab" * 20])
    assert [each.name for each in said] == ["odoo odoo"]


def test_h2_what_only_an_origin_has_is_read_as_its_owner_whatever_its_name(
    server: Server, place: Place
) -> None:
    """Planning a question calls what an index calls."""
    name = 'a "b\n\\! touch /tmp/h2\n'
    quoted = '"' + name.replace('"', '""') + '"'
    server.sql(
        f"SET ROLE odoo; CREATE SCHEMA evil; CREATE TABLE evil.{quoted} (words text);"
        "CREATE FUNCTION evil.who(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_user = 'postgres' THEN RAISE 'it ran as superuser'; END IF;"
        " RETURN 1; END $$;"
        f"CREATE INDEX ON evil.{quoted} (evil.who(1));"
        f"INSERT INTO evil.{quoted} VALUES ('only here')",
        "shop",
    )
    with pytest.raises(psycopg.Error, match="it ran as superuser"):
        server.sql(f"SELECT count(*) FROM evil.{quoted} WHERE words = 'x'", "shop")
    with psycopg.connect(server.dsn("shop", "odoo"), autocommit=True) as session:
        ids = session.execute(
            "SELECT d.oid::int, pg_relation_filenode(c.oid)::int FROM pg_database d, pg_class c"
            " WHERE d.datname = 'shop' AND c.relname = %s",
            (name,),
        ).fetchone()
        xid = session.execute(f"SELECT xmin::text::int FROM evil.{quoted}".encode()).fetchone()
    assert ids is not None
    assert xid is not None
    story = Story()
    story.committed = {xid[0]}
    story.changes = {xid[0]: {(ids[0], ids[1]): {"inserted": 1}}}
    config = {
        "bin": str(tools()), "port": server.port, "version": place.cluster.version,
        "output": str(server.folder / "only-here"),
    }  # fmt: skip

    found, unread = export(config, server.socket, story)

    assert unread == []
    assert [(each["table"], each["rows"]) for each in found] == [(f"evil.{name}", 1)]
    (csv,) = (server.folder / "only-here" / "shop").iterdir()
    assert csv.read_text() == "words\nonly here\n"


def test_h3_functions_in_a_search_path_of_the_customer_s_are_never_called(
    server: Server, place: Place
) -> None:
    server.sql(
        f"SET ROLE odoo; {EVIL}"
        "CREATE FUNCTION evil.evil() RETURNS bool LANGUAGE sql AS"
        " $$ INSERT INTO evil.ran VALUES (current_user); SELECT true $$;"
        "CREATE FUNCTION evil.to_regclass(text) RETURNS bool LANGUAGE sql AS"
        " $$ SELECT evil.evil() $$;"
        "CREATE FUNCTION evil.same(name, text) RETURNS bool LANGUAGE sql AS"
        " $$ SELECT evil.evil() $$;"
        "CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.same);"
        "CREATE VIEW evil.pg_class AS SELECT evil.evil();"
        "ALTER DATABASE shop SET search_path = evil, pg_catalog",
        "shop",
    )
    assert customers.odoo_databases(place) == ["shop"]
    assert server.sql("SELECT who FROM evil.ran", "shop") == []


def test_h4_a_name_with_a_newline_is_refused_and_named_and_the_others_go_on(
    server: Server, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    server.sql(f"SET ROLE odoo; {EVIL}", "shop")
    end = "\n" if server.version < NO_NEWLINES else "\x1b"
    name = f"x{end}SELECT pg_switch_wal(); \\! touch /tmp/h4"
    server.sql(
        f'SET ROLE odoo; CREATE DATABASE "{name}"'.replace("SET ROLE odoo; ", ""), "postgres"
    )
    server.sql(f'ALTER DATABASE "{name}" OWNER TO odoo', "postgres")
    found = customers.odoo(place)
    assert found.names == ["shop"]
    assert found.barred.keys() == {name}
    assert "here holds control characters" in found.barred[name]
    assert repr(name) in found.barred[name]


def test_a_database_that_lets_nobody_in_stops_no_other(server: Server, place: Place) -> None:
    server.sql(f"SET ROLE odoo; {EVIL}", "shop")
    for name, sabotage in (
        ("crowded", "CONNECTION LIMIT 0"), ("late", "SET local_preload_libraries = 'nope'"),
        ("dull", "SET session_preload_libraries = 'nope'"),
    ):  # fmt: skip
        server.sql(f"CREATE DATABASE {name} OWNER odoo TEMPLATE shop", "postgres")
        server.sql(f"ALTER DATABASE {name} {sabotage}", "postgres")
    server.sql("CREATE DATABASE other", "postgres")
    server.sql("REVOKE CONNECT ON DATABASE other FROM PUBLIC", "postgres")

    found = customers.odoo(place)

    assert found.names == ["late", "shop"], "what an owner may set keeps only Odoo out"
    assert found.barred.keys() == {"crowded", "dull"}
    assert "too many connections" in found.barred["crowded"]
    assert 'could not access file "nope"' in found.barred["dull"]
    assert found.foreign == {"other": "role odoo may not connect to it"}


def test_what_is_not_copied_is_named_and_counted_beside_the_documents(
    server: Server, place: Place
) -> None:
    """Another storage, and another role's database that ours may enter and not read."""
    server.sql("CREATE DATABASE other", "postgres")
    server.sql(TABLE, "other")
    server.sql(
        "INSERT INTO ir_attachment (name, store_fname) VALUES ('lost', 'ab/' || repeat('ab', 20));"
        "INSERT INTO ir_attachment (store_fname) SELECT 's3://bucket/' || n "
        "FROM generate_series(1, 5000) n",
        "shop",
    )
    asked = customers.odoo(place, customers.DOCUMENTS).databases
    assert [each.name for each in asked] == ["other", "shop"]
    found = [document for each in asked for document in documents._try(each)]
    assert [each.name for each in found if each.is_known] == ["lost"]
    assert [each.kind for each in found] == ["not copied", "missing", "not copied"]
    assert str(found[0]).startswith(
        "other: it belongs to another role, and its files are not followed: "
    )
    assert "permission denied for table ir_attachment" in str(found[0])
    assert str(found[2]) == (
        "shop: 5000 documents are kept in another storage ('s3'), which is not copied"
    )


@pytest.mark.parametrize(
    ("method", "said"),
    [("peer", "Peer authentication failed"), ("scram-sha-256", "server requested")],
)
def test_where_odoo_s_user_is_not_let_in_its_password_does_on_loopback(
    server: Server, place: Place, method: str, said: str
) -> None:
    """Also where PostgreSQL says no code, because libpq itself ends what asks for a password."""
    server.sql(f"SET ROLE odoo; {EVIL}", "shop")
    scram = "SET password_encryption = 'scram-sha-256'; "  # up to 13 it is md5
    server.sql(f"{scram}ALTER ROLE odoo PASSWORD 'it''s secret'", "postgres")
    hba, conf = server.data / "pg_hba.conf", server.data / "postgresql.conf"
    before = hba.read_text(), conf.read_text()
    hba.write_text(
        f"local all postgres trust\nlocal all all {method}\n"
        "host all odoo 127.0.0.1/32 scram-sha-256\n"
    )
    conf.write_text(before[1] + "listen_addresses = '127.0.0.1'\n")
    ini = Path(place.odoo.config)
    try:
        server.restart()
        found = customers.odoo(place)
        assert found.names == []
        assert said in found.barred["shop"]
        ini.write_text("[options]\ndb_user = odoo\ndb_password = it's secret\n")
        assert customers.odoo(place).names == ["shop"]
        server.sql(
            "DELETE FROM ir_attachment; INSERT INTO ir_attachment (id, name, store_fname) "
            "VALUES (1, 'lost', 'ab/' || repeat('ab', 20))",
            "shop",
        )
        assert [str(each) for each in documents._try(customers.databases(place)[0])] == [
            str(Document("shop", 1, "lost", "", _created(server), "", ""))
        ]
        ini.write_text("[options]\ndb_user = odoo\ndb_password = wrong\n")
        assert "password authentication failed" in customers.odoo(place).barred["shop"]
    finally:
        hba.write_text(before[0])
        conf.write_text(before[1])
        ini.unlink()
        server.restart()


def test_tables_that_no_standby_has_are_named(server: Server, place: Place) -> None:
    server.sql(
        "SET ROLE odoo; CREATE UNLOGGED TABLE chat (n int); CREATE TABLE kept (n int)", "shop"
    )
    try:
        said = customers.each(customers.databases(place), compatibility.UNLOGGED).rows["shop"]
        assert [row["name"] for row in said] == ["public.chat"]
    finally:
        server.sql("DROP TABLE chat, kept", "shop")


@pytest.mark.parametrize("method", ["md5", "reject"])
def test_a_server_that_does_not_let_us_in_is_quoted_and_not_said_to_be_down(
    server: Server, cluster: Cluster, shell: LocalShell, method: str
) -> None:
    hba = server.data / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text(f"local all postgres {method}\n{before}")
    try:
        server.restart()
        with pytest.raises(StatementFailed, match="refused the login: ") as refused:
            cluster.value(shell, "SELECT 1")
        assert "pg_hba.conf" in refused.value.hint
        assert "systemctl" not in refused.value.hint
    finally:
        hba.write_text(before)
        server.restart()


def _created(server: Server) -> str:
    sql = "SELECT to_char(create_date, 'YYYY-MM-DD HH24:MI:SS') FROM ir_attachment"
    return str(server.sql(sql, "shop")[0][0])


def test_no_session_is_left_in_a_customer_s_database(server: Server, place: Place) -> None:
    server.sql(f"SET ROLE odoo; {EVIL}", "shop")
    assert customers.odoo_databases(place) == ["shop"]
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'"
    deadline = time.monotonic() + 5
    while server.sql(asked, "postgres") != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_question_whose_session_was_ended_is_asked_once_more(
    server: Server, cluster: Cluster, shell: LocalShell
) -> None:
    for end in (
        lambda: server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'relevo'",
            "postgres",
        ),
        server.restart,
        lambda: shell.started[-1].kill(),  # noqa: PLW0108  # whichever it is by then
    ):
        first = cluster.value(shell, "SELECT pg_backend_pid()")
        assert cluster.value(shell, "SELECT pg_backend_pid()") == first, "it is kept"
        end()
        assert cluster.value(shell, "SELECT pg_backend_pid()") not in {"", first}
        end()
        time.sleep(0.2)  # so that nothing is sent on the dead one
        assert cluster.execute(shell, "SELECT pg_is_in_recovery()") == "f"


def test_a_write_that_may_have_run_is_not_asked_twice(
    server: Server, cluster: Cluster, shell: LocalShell
) -> None:
    server.sql("CREATE SEQUENCE public.once", "postgres")
    dies = "SELECT nextval('public.once'), pg_terminate_backend(pg_backend_pid())"

    with pytest.raises(StatementFailed, match="does not answer") as failed:
        cluster.execute(shell, dies)

    assert failed.value.sqlstate == "57P01"
    assert server.sql("SELECT last_value, is_called FROM public.once", "postgres") == [(1, True)]
    cluster.value(shell, "SELECT 1")
    with pytest.raises(StatementFailed, match="does not answer"):
        cluster.execute(shell, dies)
    assert server.sql("SELECT last_value FROM public.once", "postgres") == [(2,)]
    with pytest.raises(StatementFailed):
        cluster.query(shell, dies)  # a question may be asked once more, and once only
    assert server.sql("SELECT last_value FROM public.once", "postgres")[0][0] in {3, 4}
    server.sql("DROP SEQUENCE public.once", "postgres")


@pytest.mark.parametrize(
    "much",
    ["SELECT repeat('x', 70 << 20)", "SELECT FROM generate_series(1, 1100000)",
     "SELECT repeat('x', 1 << 20) FROM generate_series(1, 100)"],
)  # fmt: skip
def test_an_answer_that_is_too_large_is_an_error_of_this_cluster_alone(
    cluster: Cluster, shell: LocalShell, much: str
) -> None:
    with pytest.raises(StatementFailed, match=rf"{cluster} on here answered .* more than"):
        cluster.query(shell, much)
    assert cluster.value(shell, "SELECT 1") == "1"


def test_what_postgresql_says_is_a_sentence_with_its_sqlstate(
    cluster: Cluster, shell: LocalShell
) -> None:
    with pytest.raises(StatementFailed) as failed:
        cluster.value(shell, "SELECT 1 / $1::int", 0)
    assert failed.value.message == (
        f"PostgreSQL {cluster} on here refused a statement: ERROR: division by zero"
    )
    assert failed.value.sqlstate == "22012"
    again = pickle.loads(pickle.dumps(failed.value))
    assert (again.sqlstate, again.message) == ("22012", failed.value.message)
    with pytest.raises(StatementFailed, match="statement timeout"):
        cluster.value(shell, "SELECT pg_sleep(5)", timeout_seconds=0.2)
    nowhere = cluster.model_copy(update={"port": 1})
    with pytest.raises(StatementFailed, match="does not answer: No such file") as failed:
        nowhere.value(shell, "SELECT 1")
    assert f"systemctl status {cluster.unit.removesuffix('.service')}" in failed.value.hint
    for no_text in ("nul\0byte", "\udcff"):
        with pytest.raises(StatementFailed, match="refused a statement"):
            cluster.value(shell, "SELECT $1::text", no_text)
    assert cluster.value(shell, "SELECT 3") == "3"


@pytest.mark.parametrize(
    "figure", ["'Infinity'::float8", "'NaN'::numeric", "repeat('9', 5000)::numeric"]
)
def test_a_figure_that_is_none_is_an_error_of_this_cluster_alone(
    cluster: Cluster, shell: LocalShell, figure: str
) -> None:
    """It would end the board of all, or make what `--json` prints no JSON."""
    with pytest.raises(StatementFailed, match="answered with a figure that is none"):
        cluster.query(shell, f"SELECT {figure} AS seconds")
    assert cluster.value(shell, "SELECT 1.5") == "1.5", "the session is still good"


def test_a_server_that_hangs_is_given_up(
    server: Server, cluster: Cluster, shell: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "GRACE_SECONDS", 0.3)
    pid = int(cluster.value(shell, "SELECT pg_backend_pid()"))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable, match="it did not finish within"):
            cluster.value(shell, "SELECT 1", timeout_seconds=0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert cluster.value(shell, "SELECT 2") == "2"


def test_who_lost_the_lease_asks_nothing(cluster: Cluster, shell: LocalShell) -> None:
    cluster.value(shell, "SELECT 1")
    token = HELD.set(Lease("vps_1", lost=True))
    try:
        with pytest.raises(Busy):
            cluster.value(shell, "SELECT 1")
    finally:
        HELD.reset(token)


def test_a_runner_that_falls_silent_leaves_nobody_who_would_execute_what_it_says(
    server: Server, cluster: Cluster, shell: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspended, it beats no more; awake again, what it sends finds no session."""
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(relay, "BEAT_SECONDS", 3600)
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'relevo'"
    assert cluster.value(shell, asked) == "1"
    time.sleep(4)
    assert server.sql(asked, "postgres") == [(0,)]
    assert shell.started[-1].poll() is not None


def test_sessions_are_shared_by_threads(cluster: Cluster, shell: LocalShell) -> None:
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: cluster.value(shell, "SELECT $1::int", n), range(200)))
    assert said == [str(number) for number in range(200)]
    assert len(shell.started) == 1, "one relay carries all of them"


def test_the_look_is_pinned_too(cluster: Cluster) -> None:
    assert '"PGOPTIONS=$options"' in observe.LOOK
    assert "search_path=pg_catalog,pg_temp" in pinned.superuser(cluster.version)


def test_a_relay_that_is_told_to_end_leaves_nothing_at_work_in_postgresql(
    server: Server, cluster: Cluster, shell: LocalShell
) -> None:
    """By a newer run: it acts when what the older one said is done, or taken back."""
    cluster.value(shell, "SELECT 1")
    server.sql("CREATE TABLE told (at timestamptz)", "postgres")
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT%'"
    with ThreadPoolExecutor(1) as pool:
        slow = "INSERT INTO public.told SELECT clock_timestamp() FROM pg_sleep(1.5)"
        said = pool.submit(cluster.execute, shell, slow)
        while server.sql(busy, "postgres") == [(0,)] and not said.done():
            time.sleep(0.02)
        shell.started[-1].terminate()
        assert shell.started[-1].wait(10) == 0
        assert server.sql(busy, "postgres") == [(0,)]
        told = server.sql("SELECT count(*) FROM told", "postgres")
        with pytest.raises(Unreachable):
            said.result()
    time.sleep(2)
    assert server.sql("SELECT count(*) FROM told", "postgres") == told
    server.sql("DROP TABLE told", "postgres")
