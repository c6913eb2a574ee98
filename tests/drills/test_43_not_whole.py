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
from tasks import service
from tests.lab import names
from tests.lab.client import Client, audit
from tests.oracles import Pair, no_strangers

Blocks = dict[str, OdooInstance]
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
    uno.recovery.run("test", "-e", f"/etc/nginx/sites-enabled/{uno.name}")
    with pytest.raises(CommandFailed, match="from uno, but Odoo does not answer for roto"):
        failback(blocks[uno.name])
    assert uno.is_home()
    uno.at_origin("DROP DATABASE roto WITH (FORCE)")
    assert check(blocks[uno.name]).title == f"{uno.name}: green"
    no_strangers(uno)


def test_a_recovery_cluster_that_somebody_promoted_is_not_stopped_by_replicate(
    uno: Pair, blocks: Blocks
) -> None:
    """Customers may be served from it since a night without Relevo."""
    version = uno.lab.generation.postgres
    uno.recovery.run("pg_ctlcluster", str(version), uno.name, "promote")
    uno.recovery.wait_until_succeeds(
        "sh", "-c", f"runuser -u postgres -- psql --cluster {version}/{uno.name} -XAtc "
        "'SELECT pg_is_in_recovery()' | grep -qx f"
    )  # fmt: skip
    uno.at_recovery("CREATE TABLE by_hand AS SELECT 1 AS n", "cliente1")
    with pytest.raises(Refused, match="accepts writes: a new clone would throw away"):
        replicate(blocks[uno.name])
    assert uno.at_recovery("SELECT n FROM by_hand", "cliente1") == "1"

    uno.recovery.run("systemctl", "stop", f"postgresql@{version}-{uno.name}")
    with pytest.raises(Refused, match="cannot follow"):
        replicate(blocks[uno.name])
    basebackup(blocks[uno.name], reclone=True)
    assert check(blocks[uno.name]).title == f"{uno.name}: green"
    no_strangers(uno)
