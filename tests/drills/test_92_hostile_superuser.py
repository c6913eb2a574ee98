"""A superuser of the origin's PostgreSQL: what he says there holds on the standby too."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from flows.basebackup import basebackup
from tasks.readiness import drill_steps
from tasks.run import terminal
from tests.attacks import canary, days, identity
from tests.attacks.oracle import TOOL, Stage, only_own
from tests.lab.machine import wait_until
from tests.lab.trouble import LabError
from tests.oracles import Pair

MINE = "a password of his own"
PROGRAM = f"COPY (SELECT 1) TO PROGRAM '{TOOL} superuser'"
LOGIN = "host={} port={} user={} dbname=postgres sslmode=require connect_timeout=5"


@contextmanager
def altered(pair: Pair, *statements: str) -> Iterator[None]:
    """Let something hold at the origin and on the standby, and take it back."""
    before = pair.at_origin(
        "SELECT string_agg(format('ALTER ROLE %I %s REPLICATION PASSWORD %L;', rolname, "
        "CASE WHEN rolreplication THEN '' ELSE 'NO' END, rolpassword), '') "
        "FROM pg_authid WHERE rolname LIKE 'replica%'"
    ).replace("NO REPLICATION", "NOREPLICATION")
    try:
        for statement in statements:
            pair.at_origin(statement)
        replayed(pair)
        yield
    finally:
        names = "replica_user", "replica_rewind"
        pair.at_origin(before + "".join(f"ALTER ROLE {name} NOSUPERUSER;" for name in names))
        replayed(pair)


def replayed(pair: Pair) -> None:
    at = pair.at_origin("SELECT pg_current_wal_lsn()")
    wait_until(
        lambda: pair.at_recovery(f"SELECT pg_last_wal_replay_lsn() >= '{at}'") == "t", "it came"
    )


def log_in(pair: Pair, role: str, sql: str) -> str:
    """Log in from the origin to the recovery host, as a role that streams or rewinds."""
    origin = pair.origin.machine
    string = LOGIN.format(pair.recovery.address, pair.port, role)
    argv = ("env", f"PGPASSWORD={MINE}", "psql", "-XAtq", "-d", string, "-c", sql)
    done = origin.run(*argv, check=False)
    return done.stdout if done.returncode == 0 else ""


def test_a_role_that_rewinds_made_superuser_at_the_origin_is_none_at_the_standby(
    stage: Stage,
) -> None:
    """Neither of the two roles gets in while the recovery host follows: nothing listens."""
    uno, roles = stage.attacker, ("replica_rewind", "replica_user")
    changes = (f"ALTER ROLE {role} SUPERUSER PASSWORD '{MINE}'" for role in roles)
    with altered(uno, *changes), canary.untouched(*stage.hosts):
        for role in roles:
            said = only_own(stage, lambda role=role: log_in(uno, role, PROGRAM))  # type: ignore[misc]
            assert not said, f"{role} ran {said} at the standby"
            assert not log_in(uno, role, "SELECT 1"), f"{role} logs in at the standby"


def test_a_standby_listens_to_nobody_but_its_own_host(stage: Stage) -> None:
    for pair in (stage.attacker, stage.victim):
        said = pair.recovery.run("ss", "-Hltn", f"sport = :{pair.port}").stdout
        listening = {line.split()[3] for line in said.splitlines()}
        assert listening <= {f"127.0.0.1:{pair.port}", f"[::1]:{pair.port}"}


SETTINGS = {
    "listen_addresses": "*",
    "restore_command": f"{TOOL} trap-restore; false",
    "archive_cleanup_command": f"{TOOL} trap-cleanup",
    "recovery_end_command": f"{TOOL} trap-end",
    "unix_socket_directories": "/tmp",
    "external_pid_file": "/tmp/relevo-pid",
    "log_directory": "/tmp",
}


def test_settings_of_the_origin_open_no_door_in_a_new_clone_and_run_as_nobody_else(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """What ALTER SYSTEM said at the origin comes along with a base backup."""
    uno, block = stage.attacker, blocks["vps_uno"]
    before = uno.recovery.run("ss", "-Hltn", f"sport = :{uno.port}").stdout
    for name, value in SETTINGS.items():
        uno.at_origin(f"ALTER SYSTEM SET {name} = '{value}'")
    try:
        with canary.untouched(*stage.hosts):
            only_own(stage, lambda: basebackup(block, reclone=True))
        assert uno.recovery.run("ss", "-Hltn", f"sport = :{uno.port}").stdout == before
        assert uno.is_home()
    finally:
        for name in SETTINGS:
            uno.at_origin(f"ALTER SYSTEM RESET {name}")
        if not uno.is_home():
            basebackup(block, reclone=True)


LISTEN = """python3 -c 'import socket; socket.create_server(("127.0.0.1", {}))'"""
HELD_TO_ITS_PORT = 249  # the release of systemd that knows how


def test_a_superuser_takes_no_port_of_another_customer(stage: Stage) -> None:
    """Whoever listens there first would keep the other's failover from being done.

    An older systemd lets it be, and the failover says that the port is taken: the threat model
    names that.
    """
    uno, dos = stage.attacker, stage.victim
    release = int(uno.recovery.run("systemctl", "--version").stdout.split()[1])
    taken = []
    for port in (dos.http_port, dos.http_port + 3):
        with suppress(LabError):
            uno.at_recovery(f"COPY (SELECT 1) TO PROGRAM $p${LISTEN.format(port)}$p$")
            taken.append(port)
    assert bool(taken) == (release < HELD_TO_ITS_PORT), taken


# Where its data lies is asked of the standby; what lies beside it, named so, is cleared away.
SWITCH = """
CREATE SCHEMA IF NOT EXISTS evil;
CREATE OR REPLACE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $f$
    SELECT CASE $1 WHEN 'data_directory' THEN '{}' ELSE pg_catalog.current_setting($1) END $f$;
ALTER ROLE postgres SET search_path = evil, pg_catalog, public;
"""
SWITCH_BACK = "ALTER ROLE postgres RESET search_path; DROP SCHEMA IF EXISTS evil CASCADE"


def test_a_data_directory_that_the_database_names_is_none_that_root_clears_away(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    uno, victims = stage.attacker, identity.data_directory(stage.victim)
    drill = f"{victims}.drill"
    uno.recovery.write(f"{drill}/of-another-customer", "precious")
    try:
        uno.at_origin(SWITCH.format(victims))
        replayed(uno)
        with terminal.without_server(), suppress(RelevoError), drill_steps.stage(blocks[uno.name]):
            pass
        assert uno.recovery.read(f"{drill}/of-another-customer") == "precious"
    finally:
        uno.at_origin(SWITCH_BACK)
        replayed(uno)
        uno.recovery.run("rm", "-rf", drill)
    assert uno.is_home()


def test_the_user_of_a_cluster_has_no_say_in_how_root_starts_it(stage: Stage) -> None:
    """Debian's tools read these files as root. Whoever puts a link to another cluster's
    postgresql.conf there has that one stopped and promoted in place of his own; what stands in
    `environment` is loaded into its processes.
    """
    uno, owner = stage.attacker, stage.own.cluster
    folder = f"/etc/postgresql/{uno.origin.version}/{uno.name}"
    places = (folder, "/etc/postgresql", "/var/lib/postgresql", "/var/log/postgresql")
    find = ("find", folder, *places[1:], "-maxdepth", "1", "-writable", "!", "-type", "l")
    found = uno.recovery.run(*find, user=owner, check=False).stdout.splitlines()
    # Its own log and the folder of all logs, which have Debian's sticky bit, are no configuration.
    logs = "/var/log/postgresql"
    assert [path for path in found if not path.startswith(logs)] == []


LOGIN_TRIGGER = f"""
CREATE FUNCTION public.greet() RETURNS event_trigger LANGUAGE plpgsql AS $f$
BEGIN
    EXECUTE $c$COPY (SELECT 1 WHERE false) TO PROGRAM '{TOOL} trap-login'$c$;
EXCEPTION WHEN OTHERS THEN NULL;
END $f$;
CREATE EVENT TRIGGER greet ON login EXECUTE FUNCTION public.greet();
ALTER EVENT TRIGGER greet ENABLE ALWAYS;
"""


def test_a_trigger_on_login_gets_nothing_of_another_customer(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """None runs in a superuser's session of ours; what Odoo's role asks, starts those of its own.

    They may be SECURITY DEFINER, and so run commands as the user of this cluster, and no other.
    """
    uno = stage.attacker
    if uno.lab.generation.postgres < 17:
        pytest.skip("PostgreSQL 17 has triggers on login")
    try:
        for database in ("postgres", "cliente1"):
            uno.at_origin(LOGIN_TRIGGER, database)
        replayed(uno)
        only_own(stage, lambda: days.live(blocks["vps_uno"], days.check))
        assert {each.user for each in stage.collect(uno.recovery)} <= {f"db_{uno.name}"}
    finally:
        for database in ("postgres", "cliente1"):
            uno.at_origin(
                "SET event_triggers = off; DROP EVENT TRIGGER IF EXISTS greet; "
                "DROP FUNCTION IF EXISTS public.greet()", database,
            )  # fmt: skip
