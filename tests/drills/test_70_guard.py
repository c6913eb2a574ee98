"""A server that comes back from the dead asks before it serves anyone."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from tasks.authority import stage
from tests.lab.client import Client
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, forget_documents, no_strangers, one_writer, ready

RIGHT = "/var/lib/relevo/vps_uno/right.json"
CONFIG = "/etc/relevo/guard/vps_uno/config.json"


def _serves(pair: Pair) -> bool:
    done = pair.origin.machine.run(
        "psql", "-p", str(pair.origin.port), "-XAtqc", "SELECT pg_is_in_recovery()",
        user="postgres", check=False,
    )  # fmt: skip
    return done.stdout == "f\n"


def _odoo_is_up(machine: Machine, unit: str = "odoo") -> bool:
    return machine.run("systemctl", "is-active", unit, check=False).stdout == "active\n"


def _held(pair: Pair) -> bool:
    return not _serves(pair) and not _odoo_is_up(pair.origin.machine)


def test_an_origin_that_boots_after_a_failover_serves_nobody(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    machine = uno.origin.machine
    machine.kill()
    failover(blocks["vps_uno"], origin_is_down=True, reason="drill")
    machine.boot()
    assert _held(uno)
    said = json.loads(machine.read("/var/lib/relevo/vps_uno/held.json"))
    assert said["why"].endswith("gave the write right to recovery")
    machine.run("systemctl", "start", "odoo", f"postgresql@{uno.origin.version}-main", check=False)
    assert _held(uno), "starting by hand asks as well"

    uno.recovery.kill()
    machine.kill()
    machine.boot()
    assert _held(uno), "told once, it holds without an answer"
    uno.recovery.boot()
    failback(blocks["vps_uno"])
    ready(check(blocks["vps_uno"]))
    no_strangers(uno)


def test_an_origin_that_boots_in_the_middle_of_a_failover_is_no_second_writer(
    uno: Pair, blocks: dict[str, OdooInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks, and is told "you may", the moment before the receipt says otherwise."""
    machine, record = uno.origin.machine, stage.record

    def record_while_it_boots(*args: Any, **kwargs: Any) -> None:
        booting.start()
        wait_until(lambda: uno.recovery.run(*asked).stdout != before, "it asks", 60)
        record(*args, **kwargs)

    booting = threading.Thread(target=machine.boot)
    asked = ("stat", "-c", "%y", "/var/lib/relevo/vps_uno/asked")
    before = uno.recovery.run(*asked).stdout
    monkeypatch.setattr(stage, "record", record_while_it_boots)
    machine.kill()
    with one_writer(uno):
        failover(blocks["vps_uno"], origin_is_down=True, reason="drill")
        booting.join()
        wait_until(lambda: _held(uno), "the origin is held", 10)
    failback(blocks["vps_uno"])
    no_strangers(uno)


def test_an_origin_that_was_cut_off_is_held_within_ten_seconds_of_the_healing(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    machine = uno.origin.machine
    machine.cut()
    failover(blocks["vps_uno"], origin_is_down=True, reason="drill")
    uno.at_origin("CREATE TABLE only_here AS SELECT 1 AS n", "cliente1")
    since, healed = machine.run("date", "+@%s").stdout.strip(), time.monotonic()
    machine.heal()
    wait_until(lambda: _held(uno), "the origin is held", 10)
    print(f"held {time.monotonic() - healed:.1f} s after the healing")
    guard = ("-u", "relevo-guard-vps_uno", "-o", "cat", "--since", since)
    said = machine.run("journalctl", *guard).stdout
    assert said.index("holding Odoo") < said.index("holding PostgreSQL")
    failback(blocks["vps_uno"])
    assert uno.at_origin("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    no_strangers(uno)


FILL = """
mkdir /run/kept && cp -a "$1/." /run/kept
mount -t tmpfs -o size=256k tmpfs "$1" && cp -a /run/kept/. "$1" && rm -r /run/kept
cat /dev/zero >"$1/filling" 2>/dev/null
! echo more >"$1/more"
"""


@contextmanager
def _full(machine: Machine, *folders: str) -> Iterator[None]:
    """Fill the disks that some folders are on, for a while."""
    for folder in folders:
        machine.run("sh", "-c", FILL, "fill", folder)
    try:
        yield
    finally:
        for folder in folders:
            machine.run("umount", folder)


def test_an_origin_whose_disk_is_full_is_held_all_the_same(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """It stops first, and writes down afterwards what it was told."""
    machine = uno.origin.machine
    with _full(machine, "/var/lib/relevo", "/tmp", "/var/tmp"):
        machine.cut()
        failover(blocks["vps_uno"], origin_is_down=True, reason="drill")
        machine.heal()
        wait_until(lambda: _held(uno), "the origin is held", 15)
        both = ("odoo", f"postgresql@{uno.origin.version}-main")
        machine.run("systemctl", "start", *both, check=False)
        assert _held(uno), "starting by hand asks as well"
    said = machine.run("journalctl", "-u", "relevo-guard-vps_uno", "-o", "cat").stdout
    assert "right.json cannot be written" in said
    wait_until(
        lambda: "recovery" in json.loads(machine.read(RIGHT))["text"].split('"taker"')[1],
        "what it was told is written down as soon as there is room", 10,
    )  # fmt: skip
    failback(blocks["vps_uno"])
    no_strangers(uno)


def test_a_recovery_host_that_is_dead_or_mistaken_holds_nobody(
    uno: Pair, dos: Pair, customer: Callable[[Pair], Client]
) -> None:
    """A lost, older, edited, forged or foreign record is no opinion: customers work on."""
    right, recovery = uno.recovery.read(RIGHT), uno.recovery
    sealed = json.loads(right)
    edited = sealed["text"].replace('"taker":"origin"', '"taker":"recovery"')
    newer = edited.replace('"epoch":', '"epoch":9')
    client = customer(uno)
    for said in (
        "",
        "nonsense\n",
        json.dumps({"text": edited, "signature": sealed["signature"]}) + "\n",
        json.dumps({"text": newer, "signature": sealed["signature"]}) + "\n",
        json.dumps({"text": newer, "signature": _signature_of_another(recovery, newer)}) + "\n",
        recovery.read(f"/var/lib/relevo/{dos.name}/right.json"),
    ):
        recovery.write(RIGHT, said)
        time.sleep(5)  # two beats of the watcher and one to act
        assert _serves(uno)
        assert _odoo_is_up(uno.origin.machine)
    recovery.kill()
    client.wait_until_acknowledged(10)
    uno.origin.machine.kill()
    uno.origin.machine.boot()
    assert _serves(uno), "nobody answers, and its own receipt says that it had the write right"
    client.wait_until_acknowledged(5)
    recovery.boot()
    recovery.write(RIGHT, right)
    client.wait_until_acknowledged(5)
    wait_until(uno.is_home, "the recovery host follows again", 60)
    client.stop()
    forget_documents(uno.at_origin)


def _signature_of_another(machine: Machine, text: str) -> str:
    machine.write("/tmp/forged", text)
    machine.run(
        "sh", "-c", "rm -f /tmp/k /tmp/forged.sig; ssh-keygen -q -t ed25519 -N '' -f /tmp/k"
    )
    machine.run("ssh-keygen", "-Y", "sign", "-f", "/tmp/k", "-n", "relevo-receipt", "/tmp/forged")
    return machine.read("/tmp/forged.sig")


@pytest.fixture
def held_without_an_answer(uno: Pair) -> Pair:
    machine = uno.origin.machine
    config = machine.read(CONFIG)
    machine.write(CONFIG, config.replace('"unanswered": "serve"', '"unanswered": "hold"'))
    return uno


def test_where_the_policy_is_to_hold_a_boot_waits_for_the_answer(
    held_without_an_answer: Pair,
) -> None:
    pair, machine = held_without_an_answer, held_without_an_answer.origin.machine
    pair.recovery.kill()
    machine.kill()
    machine.boot()
    assert _held(pair)
    pair.recovery.boot()
    wait_until(lambda: _serves(pair) and _odoo_is_up(machine), "it serves once it is told", 30)
    config = machine.read(CONFIG)
    machine.write(CONFIG, config.replace('"unanswered": "hold"', '"unanswered": "serve"'))
    machine.run("systemctl", "restart", f"relevo-guard-{pair.name}")
    wait_until(pair.is_home, "the recovery host follows again", 60)
    no_strangers(pair)


def test_the_key_of_the_origin_asks_and_does_nothing_else(uno: Pair) -> None:
    argv = json.loads(uno.origin.machine.read(CONFIG))["ssh"]
    run = uno.origin.machine.run
    assert '"epoch' in run(*argv, "once").stdout.replace("\\", "")
    for words in (("id",), (), ("cat /etc/shadow",), ("once; id",)):
        assert run(*argv, *words, check=False).returncode == 1, words
    assert run(*argv[:-1], "-N", "-W", "127.0.0.1:5433", argv[-1], check=False).returncode != 0
