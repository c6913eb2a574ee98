"""The worst night of the year."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest

from blocks.errors import Busy, Refused
from blocks.instance import OdooInstance
from flows.failback import failback
from flows.failover import failover
from flows.rsync_filestore import rsync_filestore
from tasks.host.files import STATE
from tests.lab import names
from tests.lab.client import Client, audit
from tests.oracles import Pair, no_strangers, one_writer
from tests.stack import Stack


def test_power_loss_under_write_load_loses_no_more_than_was_stated(
    uno: Pair,
    dos: Pair,
    stack: Stack,
    blocks: dict[str, OdooInstance],
    customer: Callable[[Pair], Client],
) -> None:
    """Fail one of two instances over; the other replicates on, undisturbed."""
    streaming_since = dos.at_origin("SELECT backend_start FROM pg_stat_replication")
    client = customer(uno)
    uno.origin.machine.crash()

    with pytest.raises(Refused, match="uno does not answer") as refused:
        failover(blocks["vps_uno"])
    assert "may lose: at most the commits of the last" in str(refused.value)
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "t"

    run = stack.press("failover/vps_uno", origin_is_down=True, reason="drill")
    assert stack.wait(run)["type"] == "COMPLETED", stack.said(run)
    client.move_to(uno.recovery.address, uno.http_port)
    client.wait_until_acknowledged(10)
    report = stack.artifact("failover-vps-uno")
    seen = audit(uno.recovery.address, uno.http_port, client.journal)
    assert len(seen.acknowledged) >= 20
    assert [e.name for e in seen.broken_files if e.name not in report] == []
    stated = json.loads(uno.recovery.read(f"{STATE}/vps_uno/failover.json"))["exposure"]
    last = datetime.fromisoformat(stated["last_commit"]).timestamp()
    assert [e.name for e in seen.lost_rows if e.at < last] == []
    assert names.lookup(uno.lab.nameserver, f"cliente1.{names.ZONE}") == uno.recovery.address

    with pytest.raises(Busy, match="primary, not standby"):
        rsync_filestore(blocks["vps_uno"])
    assert dos.is_home()
    assert dos.at_origin("SELECT backend_start FROM pg_stat_replication") == streaming_since

    uno.origin.machine.boot()
    failback(blocks["vps_uno"])
    client.move_to(*uno.origin.odoo)
    client.wait_until_acknowledged(10)
    client.stop()
    home = audit(*uno.origin.odoo, client.journal)
    lost_before = {each.name for each in seen.lost_rows}
    assert [each for each in home.lost_rows if each.name not in lost_before] == []
    assert home.broken_files == []
    no_strangers(uno)


def test_a_planned_move_there_and_back_loses_nothing_and_needs_no_rewind(
    uno: Pair, blocks: dict[str, OdooInstance], customer: Callable[[Pair], Client]
) -> None:
    client, aside = customer(uno), set(_kept_aside(uno))
    with one_writer(uno):
        assert failover(blocks["vps_uno"]).facts["may be lost"] == "nothing"
        client.move_to(uno.recovery.address, uno.http_port)
        client.wait_until_acknowledged(10)
        assert uno.origin.machine.run("systemctl", "is-active", "odoo", check=False).returncode
        failback(blocks["vps_uno"])
    client.move_to(*uno.origin.odoo)
    client.wait_until_acknowledged(5)
    client.stop()
    assert audit(*uno.origin.odoo, client.journal).whole
    assert set(_kept_aside(uno)) <= aside, "nothing had to be rewound or cloned"
    no_strangers(uno)


def _kept_aside(pair: Pair) -> list[str]:
    found = pair.origin.machine.run("find", "/var/lib/postgresql", "-name", "*.quarantine-*")
    return found.stdout.splitlines()


def test_replay_that_is_paused_refuses_a_failover(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    uno.at_recovery("SELECT pg_wal_replay_pause()")
    try:
        with pytest.raises(Refused, match="replay is paused on respaldo"):
            failover(blocks["vps_uno"])
    finally:
        uno.at_recovery("SELECT pg_wal_replay_resume()")
    assert uno.is_home()
    assert uno.origin.machine.run("systemctl", "is-active", "odoo").stdout == "active\n"
