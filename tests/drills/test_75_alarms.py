"""Whoever is on duty is told of what matters, by mail and by web hook, and of nothing else.

A fault runs the check of its instance too, as this inventory wants it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.basebackup import basebackup
from flows.check import check
from tests.lab.machine import wait_until
from tests.oracles import Pair
from tests.receivers import Received, mail, web
from tests.stack import Stack

PATIENCE_SECONDS = 300
GROW = "CREATE TABLE big AS SELECT repeat(md5(n::text), 30) AS t FROM generate_series(1, 5000) n"


@pytest.fixture(scope="module")
def told(stack: Stack, inventory_path: Path) -> Iterator[tuple[Received, Received]]:
    """Receivers that `apply` has made known, and limits that a drill can pass."""
    document = yaml.safe_load(inventory_path.read_text())
    document["defaults"]["alarms"] = {"lag_mb": 1, "sync_minutes": 2, "run_check": True}
    document["defaults"]["schedules"] = {"filestore_seconds": 60}
    other = inventory_path.with_name("alarms.yaml")
    other.write_text(yaml.safe_dump(document))
    secrets = inventory_path.with_name("secrets.yaml")
    before = yaml.safe_load(secrets.read_text())
    with mail() as box, web() as hook:
        mailto = (
            f"mailto://127.0.0.1:{box.port}?from=relevo@lab.test&to=duty@lab.test&mode=insecure"
        )
        notify = {"duty": mailto, "chat": f"http://127.0.0.1:{hook.port}/hook"}
        secrets.write_text(yaml.safe_dump({**before, "notify": notify}))
        said = stack.run("--inventory", str(other), "apply")
        assert "created automation relevo: the standby lags behind" in said
        assert "created automation relevo: check vps_dos" in said
        again = stack.run("--inventory", str(other), "apply")
        assert again.splitlines()[0] == "nothing to change (2 instances)"
        with stack.unscheduled():
            yield box, hook
    secrets.write_text(yaml.safe_dump(before))
    assert "removed automation" in stack.run("--inventory", str(inventory_path), "apply")


def _both(told: tuple[Received, Received], *words: str) -> None:
    for box in told:
        wait_until(lambda box=box: box.about(*words), f"told: {words}", PATIENCE_SECONDS)  # type: ignore[misc]


def test_a_standby_that_lags_is_told_once_and_shown_red_on_the_board(
    dos: Pair, stack: Stack, told: tuple[Received, Received]
) -> None:
    stack.complete("board/all-instances")
    checks = stack.runs("check/vps_dos"), stack.runs("check/vps_uno")
    dos.at_recovery("SELECT pg_wal_replay_pause()")
    try:
        dos.at_origin(GROW)
        for _ in range(2):
            stack.complete("board/all-instances")
        _both(told, "vps_dos", "the standby lags behind")
        assert "**RED**" in stack.artifact("board")
        wait_until(lambda: stack.runs("check/vps_dos") > checks[0], "the check of vps_dos is run")
    finally:
        dos.at_recovery("SELECT pg_wal_replay_resume()")
        dos.at_origin("DROP TABLE big")
    assert [len(box.about("vps_dos", "lags behind")) for box in told] == [1, 1]
    assert (stack.runs("check/vps_dos"), stack.runs("check/vps_uno")) == (checks[0] + 1, checks[1])


def test_a_lost_slot_is_told(dos: Pair, stack: Stack, told: tuple[Received, Received]) -> None:
    stack.complete("board/all-instances")
    dos.recovery.run("systemctl", "stop", f"postgresql@{dos.lab.generation.postgres}-{dos.name}")
    dos.at_origin(f"SELECT pg_drop_replication_slot('{dos.name}')")
    dos.recovery.run("systemctl", "start", f"postgresql@{dos.lab.generation.postgres}-{dos.name}")

    stack.complete("board/all-instances")

    _both(told, "vps_dos", "the replication slot is lost")
    stack.complete("replicate/vps_dos")


def test_copies_that_stop_are_told_by_their_silence_and_a_failover_is_no_silence(
    uno: Pair, dos: Pair, stack: Stack, told: tuple[Received, Received]
) -> None:
    stack.complete("copies/respaldo")  # the failover has to end before a silence would be told
    # A slow machine may have told of silence before these copies.
    before = [len(box.about("vps_uno", "no good copy")) for box in told]
    stack.complete("failover/vps_uno")

    _both(
        told, "vps_dos", "no good copy of files", "has succeeded since 20", "relevo check vps_dos"
    )
    _both(told, "vps_uno", "another place serves")
    assert [box.about("are copied") for box in told] == [[], []], "that is what did not happen"

    stack.complete("failback/vps_uno")
    assert [len(box.about("vps_uno", "no good copy")) for box in told] == before
    assert [box.about("vps_uno", "lags behind") for box in told] == [[], []]


def test_that_nobody_can_work_is_told_when_it_was_seen_twice(
    uno: Pair, stack: Stack, told: tuple[Received, Received], blocks: dict[str, OdooInstance]
) -> None:
    """At home first, and then where the recovery host serves."""
    stack.complete("board/all-instances")
    uno.origin.machine.run("systemctl", "stop", uno.origin.unit)
    stack.complete("board/all-instances")
    uno.origin.machine.run("systemctl", "start", uno.origin.unit)
    stack.complete("board/all-instances")
    assert [box.about("vps_uno: nobody can work") for box in told] == [[], []], "a reboot"

    stack.complete("failover/vps_uno")
    with pytest.raises(Refused, match="served from the recovery host, respaldo") as refused:
        check(blocks["vps_uno"])
    assert "not running" not in refused.value.message
    assert re.search(r"\| HTTP \| \d+ for http", stack.artifact("check-vps-uno"))
    uno.recovery.run("systemctl", "stop", "odoo_vps_uno.service")
    for _ in range(3):
        stack.complete("board/all-instances")
    _both(told, "vps_uno: nobody can work", "odoo_vps_uno.service on respaldo is not running")
    with pytest.raises(Refused, match=r"odoo_vps_uno\.service on respaldo is not running"):
        check(blocks["vps_uno"])
    stack.complete("failover/vps_uno")
    stack.complete("failback/vps_uno")
    stack.complete("board/all-instances")
    assert [len(box.about("vps_uno: nobody can work")) for box in told] == [1, 1]


def test_two_writers_are_told_at_once_with_the_one_that_has_the_write_right(
    uno: Pair, stack: Stack, told: tuple[Received, Received], blocks: dict[str, OdooInstance]
) -> None:
    version = str(uno.lab.generation.postgres)
    stack.complete("board/all-instances")
    uno.recovery.run("pg_ctlcluster", version, uno.name, "promote")
    wait_until(lambda: uno.at_recovery("SELECT pg_is_in_recovery()") == "f", "it is promoted")

    stack.complete("board/all-instances")

    _both(told, "vps_uno", "BOTH servers accept writes", "gives the write right to uno")
    assert "| BOTH |" in stack.artifact("board")
    uno.recovery.run("systemctl", "stop", f"postgresql@{version}-{uno.name}")
    basebackup(blocks["vps_uno"], reclone=True)
