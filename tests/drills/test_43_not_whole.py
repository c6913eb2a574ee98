"""What is not as whole as it looks: a slow replay, a database that Odoo cannot serve."""

from collections.abc import Callable

import pytest

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from flows.basebackup import basebackup
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from tasks.odoo import service
from tests.lab import names
from tests.lab.client import Client, audit
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, ready

Blocks = dict[str, OdooInstance]
READY = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
DELAY = "recovery_min_apply_delay"


def test_files_of_rows_that_were_received_and_not_replayed_come_along(
    uno: Pair, blocks: Blocks, customer: Callable[[Pair], Client]
) -> None:
    uno.at_recovery(f"ALTER SYSTEM SET {DELAY} = '8s'")
    uno.at_recovery("SELECT pg_reload_conf()")
    client = customer(uno)
    client.wait_until_acknowledged(10)
    client.stop()
    report = failover(blocks[uno.name])
    assert report.facts["may be lost"] == "nothing"
    assert list(report.documents) == []
    seen = audit(uno.recovery.address, uno.http_port, client.journal)
    assert (seen.lost_rows, seen.broken_files) == ([], [])
    uno.at_recovery(f"ALTER SYSTEM RESET {DELAY}")
    failback(blocks[uno.name])
    no_strangers(uno)


def test_a_database_that_odoo_cannot_serve_keeps_nobody_else_from_working(
    uno: Pair, blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STRAGGLER_SECONDS", 5)
    uno.at_origin("CREATE DATABASE roto")
    uno.at_origin("CREATE TABLE ir_module_module (name text, state text)", "roto")
    with pytest.raises(CommandFailed, match="from respaldo, but Odoo does not answer for roto"):
        failover(blocks[uno.name])
    assert names.lookup(uno.lab.nameserver, f"cliente1.{names.ZONE}") == uno.recovery.address
    assert "serving.conf" in uno.recovery.read(f"/etc/nginx/relevo/{uno.name}/shown.conf")
    with pytest.raises(CommandFailed, match="from uno, but Odoo does not answer for roto"):
        failback(blocks[uno.name])
    assert uno.is_home()
    uno.at_origin("DROP DATABASE roto WITH (FORCE)")
    ready(check(blocks[uno.name]))
    no_strangers(uno)


def test_a_database_that_nobody_reads_stops_a_planned_move_before_odoo(
    uno: Pair, blocks: Blocks
) -> None:
    """Its files were never copied, and nobody would know."""
    uno.at_origin("CREATE DATABASE privado ALLOW_CONNECTIONS false")
    with pytest.raises(Refused, match="privado: not read"):
        check(blocks[uno.name])
    with pytest.raises(CommandFailed, match="not every database was read on respaldo: privado"):
        failover(blocks[uno.name])
    odoo = uno.origin.machine.run("systemctl", "is-active", uno.origin.unit)
    assert odoo.stdout == "active\n", "it was never stopped"
    uno.at_origin("DROP DATABASE privado")
    no_strangers(uno)


def test_a_recovery_cluster_that_somebody_promoted_is_not_stopped_by_replicate(
    uno: Pair, blocks: Blocks
) -> None:
    """Customers may be served from it since a night without Relevo."""
    version = uno.lab.generation.postgres
    uno.recovery.run("pg_ctlcluster", str(version), uno.name, "promote")
    wait_until(lambda: uno.at_recovery("SELECT pg_is_in_recovery()") == "f", "it is promoted")
    uno.at_recovery("CREATE TABLE by_hand AS SELECT 1 AS n", "cliente1")
    with pytest.raises(Refused, match="accepts writes: a new clone would throw away"):
        replicate(blocks[uno.name])
    assert uno.at_recovery("SELECT n FROM by_hand", "cliente1") == "1"

    uno.recovery.run("systemctl", "stop", f"postgresql@{version}-{uno.name}")
    with pytest.raises(Refused, match="cannot follow"):
        replicate(blocks[uno.name])
    basebackup(blocks[uno.name], reclone=True)
    ready(check(blocks[uno.name]))
    no_strangers(uno)


def test_an_archive_of_the_origin_s_stays_there_and_its_backlog_stops_no_customer(
    uno: Pair, blocks: Blocks
) -> None:
    """What ALTER SYSTEM has set for one machine is that machine's: on the way out, and home."""
    block, version = blocks[uno.name], uno.lab.generation.postgres
    unit = f"postgresql@{version}-{uno.origin.cluster}"
    uno.at_origin("ALTER SYSTEM SET archive_mode = on")
    uno.at_origin("ALTER SYSTEM SET archive_command = 'false'")
    uno.origin.machine.run("systemctl", "restart", unit)
    basebackup(block, reclone=True)
    assert uno.at_recovery("SHOW archive_mode") == "off"
    assert "WAL is not archived" in check(block).facts["parity"]

    for _ in range(20):
        uno.at_origin("SELECT pg_create_restore_point('more')")
        uno.at_origin("SELECT pg_switch_wal()")
    with pytest.raises(Refused, match="segments of WAL wait to be archived"):
        failover(block)
    odoo = uno.origin.machine.run("systemctl", "is-active", uno.origin.unit)
    assert odoo.stdout == "active\n", "it was never stopped"

    uno.at_origin("ALTER SYSTEM SET archive_command = 'true'")
    uno.at_origin("SELECT pg_reload_conf()")
    wait_until(lambda: uno.at_origin(READY) == "0", "the backlog is gone", 120)
    failover(block)
    failback(block, reclone=True)
    assert uno.at_origin("SHOW archive_command") == "true"

    uno.at_origin("ALTER SYSTEM RESET archive_mode")
    uno.at_origin("ALTER SYSTEM RESET archive_command")
    uno.origin.machine.run("systemctl", "restart", unit)
    wait_until(uno.is_home, "it follows again", 60)
    ready(check(block))
    no_strangers(uno)


def test_an_origin_that_lets_us_in_and_cannot_be_written_to_has_to_be_powered_off(
    uno: Pair, blocks: Blocks
) -> None:
    """Its disk is dead: nobody is promoted beside what cannot be held."""
    block, machine = blocks[uno.name], uno.origin.machine
    version, cluster = str(uno.lab.generation.postgres), uno.origin.cluster
    folder = f"/etc/postgresql/{version}/{cluster}"
    machine.run("pkill", "-KILL", "-u", "postgres")
    machine.run("mount", "--bind", folder, folder)
    machine.run("mount", "-o", "remount,bind,ro", folder)
    try:
        with pytest.raises(
            Refused, match=r"uno is reachable but could not be fenced: .*Read-only"
        ) as said:
            failover(block, origin_is_down=True, reason="drill")
        assert "power uno off at the provider" in str(said.value)
        assert uno.at_recovery("SELECT pg_is_in_recovery()") == "t"
    finally:
        machine.run("umount", folder)
    machine.kill()
    failover(block, origin_is_down=True, reason="drill")
    machine.boot()
    failback(block)
    no_strangers(uno)
