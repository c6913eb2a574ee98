"""Home again, by each of the ways."""

from collections.abc import Callable

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.pg_rewind import pg_rewind
from tests.lab import clock
from tests.lab.client import Client, audit
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, one_writer

DIRECTORY = "SHOW data_directory"
# Killed, started, and told to stop while it replays; pg_control then says what a standby's says.
STOP_IN_CRASH_RECOVERY = """
set -e
unit=postgresql@$1-$2 data=$3
state() { LC_ALL=C "/usr/lib/postgresql/$1/bin/pg_controldata" -D "$2" | grep -q "state: *$3"; }
systemctl kill --signal=KILL "$unit"
until systemctl -q is-failed "$unit"; do sleep 0.1; done
pg_ctlcluster --skip-systemctl-redirect "$1" "$2" start &
until state "$1" "$data" "in crash recovery"; do :; done
kill -INT "$(head -n 1 "$data/postmaster.pid")"
wait || true
state "$1" "$data" "shut down in recovery"
"""

# Killed, and without the WAL that its recovery would begin with.
LOSE_WAL = """
set -e
systemctl kill --signal=KILL "postgresql@$1-$2"
until systemctl -q is-failed "postgresql@$1-$2"; do sleep 0.1; done
find "$3/pg_wal" -maxdepth 1 -type f -delete
"""
# Arguments: a unit, a data directory. An administrator gives WAL a disk of its own, or takes it.
WAL_AWAY = """
set -e
systemctl stop "$1"
mv "$2/pg_wal" /srv/wal
ln -s /srv/wal "$2/pg_wal"
systemctl start "$1"
"""
WAL_BACK = """
set -e
systemctl stop "$1"
rm "$2/pg_wal"
mv /srv/wal "$2/pg_wal"
systemctl start "$1"
"""


def _fork(
    pair: Pair,
    block: OdooInstance,
    *,
    segments: int = 0,
    stopped_in_crash_recovery: bool = False,
    does_not_recover: bool = False,
) -> None:
    """Let the origin go on by itself after a failover, as a VPS does that was only cut off."""
    pair.origin.machine.cut()
    failover(block, origin_is_down=True, reason="drill")
    pair.at_origin("CREATE TABLE only_here AS SELECT generate_series(1, 1000) AS n", "cliente1")
    pair.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 1000) AS n", "cliente1")
    for _ in range(segments):
        pair.at_origin("CREATE TABLE filler (n int); DROP TABLE filler; SELECT pg_switch_wal()")
        pair.at_origin("CHECKPOINT")
    if stopped_in_crash_recovery:
        data = pair.at_origin("SHOW data_directory")
        much = "CREATE TABLE much AS SELECT repeat('x', 200) FROM generate_series(1, 400000)"
        pair.at_origin(much)
        names = (str(pair.origin.version), str(pair.origin.cluster), data)
        pair.origin.machine.run("sh", "-c", STOP_IN_CRASH_RECOVERY, "sh", *names)
    if does_not_recover:
        data = pair.at_origin("SHOW data_directory")
        names = (str(pair.origin.version), str(pair.origin.cluster), data)
        pair.origin.machine.run("sh", "-c", LOSE_WAL, "lose", *names)
    pair.origin.machine.heal()


def _settle(pair: Pair) -> None:
    """The outage's rows are home, what only the origin had is gone from there but kept aside."""
    assert pair.at_origin("SELECT count(*) FROM outage", "cliente1") == "1000"
    assert pair.at_origin("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    aside = "ls -d /var/lib/postgresql/*/*.quarantine-* | grep -c quarantine"
    assert int(pair.origin.machine.run("sh", "-c", aside).stdout) >= 1
    owner = (
        "SELECT string_agg(DISTINCT pg_get_userbyid(datdba), ',') FROM pg_database "
        "WHERE datname LIKE 'cliente%'"
    )
    assert pair.at_origin(owner) == "odoo"
    pair.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(pair)


def test_writes_that_only_the_origin_has_are_rewound_and_kept_aside(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    _fork(uno, blocks["vps_uno"])
    failback(blocks["vps_uno"])
    _settle(uno)


def test_an_origin_that_was_stopped_in_its_own_crash_recovery_is_no_standby_and_is_rewound(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    _fork(uno, blocks["vps_uno"], stopped_in_crash_recovery=True)
    failback(blocks["vps_uno"])
    _settle(uno)


def test_an_origin_that_does_not_recover_from_its_crash_is_kept_aside_and_cloned(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """The crash recovery that has to come before pg_rewind fails, with no door open."""
    _fork(uno, blocks["vps_uno"], does_not_recover=True)
    failback(blocks["vps_uno"])
    _settle(uno)


def test_wal_on_another_disk_is_said_and_stays_there_after_a_rewind(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    block, machine, data = blocks["vps_uno"], uno.origin.machine, uno.at_origin(DIRECTORY)
    unit = f"postgresql@{uno.origin.version}-{uno.origin.cluster}"
    machine.run("sh", "-c", WAL_AWAY, "move", unit, data)
    machine.run("systemctl", "restart", uno.origin.unit)
    wait_until(uno.is_home, "it streams again", 60)
    assert "pg_wal on uno is a link" in check(block).facts["parity"]
    _fork(uno, block)
    failback(block)
    assert machine.run("readlink", f"{data}/pg_wal").stdout == "/srv/wal\n"
    machine.run("sh", "-c", WAL_BACK, "move", unit, data)
    machine.run("systemctl", "restart", uno.origin.unit)
    wait_until(uno.is_home, "it streams again", 60)
    _settle(uno)


def test_pg_rewind_is_refused_the_second_time(uno: Pair, blocks: dict[str, OdooInstance]) -> None:
    _fork(uno, blocks["vps_uno"])
    pg_rewind(blocks["vps_uno"])
    with pytest.raises(Refused, match="already follows"):
        pg_rewind(blocks["vps_uno"])
    failback(blocks["vps_uno"])
    _settle(uno)


def test_a_rewind_that_died_half_way_is_never_rewound_again_but_cloned(
    dos: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """The marker is there, and its end is not: the worker and the host died in the middle."""
    _fork(dos, blocks["vps_dos"])
    dos.origin.machine.run("mkdir", "-p", "/var/lib/relevo/vps_dos")
    dos.origin.machine.write("/var/lib/relevo/vps_dos/rewind", "started\n")
    failback(blocks["vps_dos"])
    _settle(dos)


def test_where_the_wal_for_a_rewind_is_gone_the_origin_is_cloned_anew(
    dos: Pair, blocks: dict[str, OdooInstance], customer: Callable[..., Client]
) -> None:
    """pg_rewind finds out by itself, when what is there has been kept aside already."""
    _fork(dos, blocks["vps_dos"], segments=3)
    client = customer(dos, dos.recovery.address, dos.http_port)
    machine = dos.origin.machine
    machine.run("systemctl", "stop", "odoo", f"postgresql@{dos.lab.generation.postgres}-clientes")
    machine.run(
        "sh",
        "-c",
        "cd /var/lib/postgresql/*/clientes/pg_wal && "
        "ls | grep -E '^[0-9A-F]{24}$' | sort | head -n -1 | xargs -r rm",
    )
    dos.at_recovery("SELECT 1")
    failback(blocks["vps_dos"])
    client.move_to(*dos.origin.odoo)
    client.wait_until_acknowledged(5)
    client.stop()
    assert audit(*dos.origin.odoo, client.journal).whole
    _settle(dos)


def test_the_literal_runbook_is_refused(dos: Pair, blocks: dict[str, OdooInstance]) -> None:
    """Rewound, then started without a signal file: a second primary on the same timeline.

    That is what the runbook's text makes, and what pg_rewind then calls "no rewind required".
    """
    _fork(dos, blocks["vps_dos"])
    pg_rewind(blocks["vps_dos"])
    version, machine = dos.lab.generation.postgres, dos.origin.machine
    unit = f"postgresql@{version}-clientes"
    machine.run("systemctl", "stop", unit)
    machine.run("rm", f"/var/lib/postgresql/{version}/clientes/standby.signal")
    machine.run("systemctl", "start", unit)
    assert machine.run("systemctl", "is-active", unit, check=False).stdout == "inactive\n", (
        "the guard lets nothing but a standby start here"
    )
    machine.run("systemctl", "stop", "relevo-guard-vps_dos")
    machine.run("pg_ctlcluster", "--skip-systemctl-redirect", str(version), "clientes", "start")
    dos.at_origin("CREATE TABLE forked AS SELECT 1 AS n", "cliente1")

    with pytest.raises(Refused, match="silent fork"):
        failback(blocks["vps_dos"])
    assert dos.at_recovery("SELECT pg_is_in_recovery()") == "f"
    assert dos.at_recovery("SELECT count(*) FROM outage", "cliente1") == "1000"

    machine.run("systemctl", "start", "relevo-guard-vps_dos")
    failback(blocks["vps_dos"], reclone=True)
    _settle(dos)


def _round_trip(pair: Pair, block: OdooInstance, client: Client) -> None:
    with one_writer(pair):
        failover(block)
        client.move_to(pair.recovery.address, pair.http_port)
        client.wait_until_acknowledged(3)
        failback(block)
    client.move_to(*pair.origin.odoo)
    client.wait_until_acknowledged(3)
    no_strangers(pair)


def test_three_round_trips_in_a_row_leave_no_strangers_though_a_clock_is_wrong(
    uno: Pair, blocks: dict[str, OdooInstance], customer: Callable[[Pair], Client]
) -> None:
    client, block = customer(uno), blocks["vps_uno"]
    for _ in range(2):
        _round_trip(uno, block, client)
    with clock.ahead(uno.origin.machine, 7 * 3600):
        with pytest.raises(Refused, match=r"the clocks of uno and respaldo are 25\d{3} s apart"):
            check(block)
        _round_trip(uno, block, client)
    client.stop()
    assert audit(*uno.origin.odoo, client.journal).whole
