"""A planned move loses nothing, or does not happen; and nobody writes without a receipt."""

import json
from collections.abc import Callable

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.failback import failback
from flows.failover import failover
from flows.switchover import switchover
from tasks.filestore import engine
from tests.lab.client import Client, audit, longest_outage_seconds
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, no_strangers, one_writer
from tests.stack import Stack

# All that Relevo or a package could write, but for logs, and but for what runs by itself.
FILES = (
    "find /etc /usr /opt /srv /home /root /var/lib/relevo /var/lib/odoo /var/spool -xdev -type f "
    "! -path '*/sessions/*' ! -path '*/__pycache__/*' ! -name 'state.sqlite*' "
    "-exec sha256sum {} + 2>/dev/null | sort"
)
# What the engine knows of the files, but for when it has looked at them last.
KNOWN = """
import glob, sqlite3
for path in sorted(glob.glob('/opt/*/*/*/engine/state.sqlite')):
    for line in sqlite3.connect(path).iterdump():
        if not line.startswith('INSERT INTO "fact"'):
            print(path, line)
"""
# Newer releases of pg_dump put a word of their own into each dump, by chance.
DUMP = """
socket=$(find /run/relevo-postgresql /run/postgresql -name .s.PGSQL.{0} 2>/dev/null)
runuser -u "$(stat -c %U "$socket")" -- pg_dumpall -h "${{socket%/*}}" -U postgres -p {0} |
    grep -vE '^.(un)?restrict ' | sha256sum
"""
UNITS = "systemctl list-units --all --plain --no-legend --type=service --state=active | sort"


def _hashes(pair: Pair) -> set[str]:
    """A line for each file and unit of both hosts, and what their clusters are."""
    said = set()
    for machine, port in pair.ends:
        lines = machine.run("sh", "-c", f"{FILES}; {UNITS}").stdout.splitlines()
        lines += machine.run("python3", "-c", KNOWN).stdout.splitlines()
        lines.append(machine.run("sh", "-c", DUMP.format(port)).stdout)
        lines.append(machine.psql(port, "SELECT pg_is_in_recovery(), pg_postmaster_start_time()"))
        lines.append(machine.psql(port, "SELECT * FROM pg_replication_slots").split("|")[0])
        said |= {f"{machine.name}: {line}" for line in lines}
    return said


def _at_rest(pair: Pair) -> set[str]:
    """What runs by schedule may still be at its end: wait until nothing changes by itself."""
    seen: list[set[str]] = [_hashes(pair)]

    def still() -> bool:
        seen.append(_hashes(pair))
        return seen[-1] == seen[-2]

    wait_until(still, "nothing changes by itself", 180)
    return seen[-1]


def test_a_rehearsal_of_a_switchover_changes_nothing(
    uno: Pair, stack: Stack, blocks: dict[str, OdooInstance]
) -> None:
    instance = blocks["vps_uno"]
    # All of them write by themselves; that of the other instance keeps its notes on the same host.
    uno.origin.machine.run("systemctl", "stop", "odoo")
    followers = [engine.follower(each) for each in (instance, blocks["vps_dos"])]
    running: list[str] = []
    try:
        with stack.unscheduled():
            stack.wait_until_idle()  # a round that has begun copies, and then it follows
            # After a boot of the recovery host they wait for the next round: none is to be stopped.
            active = ("systemctl", "is-active", *followers)
            said = uno.recovery.run(*active, check=False).stdout.split()
            running += [
                name for name, state in zip(followers, said, strict=True) if state == "active"
            ]
            for follower in running:
                uno.recovery.run("systemctl", "stop", follower)
            uno.at_origin("CHECKPOINT")
            before = _at_rest(uno)
            away = switchover(instance, decide="plan only")
            assert away.title == "plan: switchover of vps_uno"
            assert away.facts["what would be lost"] == "nothing"
            home = switchover(instance, to="origin", decide="plan only")
            assert "already served from uno" in home.facts["refused as things are"]
            stack.complete("switchover/vps_uno", decide="plan only")
            assert _hashes(uno) ^ before == set()
    finally:
        uno.origin.machine.run("systemctl", "start", "odoo")
        engine.follow(instance)
        for follower in running:
            uno.recovery.run("systemctl", "start", follower)


def test_a_switchover_there_and_back_under_load_loses_nothing(
    uno: Pair, blocks: dict[str, OdooInstance], customer: Callable[[Pair], Client]
) -> None:
    client, aside = customer(uno), _kept_aside(uno.origin.machine)
    with one_writer(uno):
        switchover(blocks["vps_uno"])
        client.move_to(uno.recovery.address, uno.http_port)
        client.wait_until_acknowledged(10)
        assert uno.at_origin("SELECT pg_is_in_recovery()") == "t"
        switchover(blocks["vps_uno"])  # the button pressed once more does no harm
        switchover(blocks["vps_uno"], to="origin")
    client.move_to(*uno.origin.odoo)
    client.wait_until_acknowledged(5)
    client.stop()
    seen = audit(*uno.origin.odoo, client.journal)
    assert seen.whole
    assert _kept_aside(uno.origin.machine) <= aside
    no_strangers(uno)
    print(f"{len(seen.acknowledged)} documents, none lost; longest outage "
          f"{longest_outage_seconds(client.journal):.1f} s")  # fmt: skip


def _kept_aside(machine: Machine) -> set[str]:
    found = machine.run("find", "/var/lib/postgresql", "-name", "*.quarantine-*").stdout
    return set(found.splitlines())


def test_a_switchover_that_could_lose_anything_is_refused_before_anything_stops(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> None:
    uno.at_recovery("SELECT pg_wal_replay_pause()")
    try:
        with pytest.raises(Refused, match="replay is paused on respaldo"):
            switchover(blocks["vps_uno"])
    finally:
        uno.at_recovery("SELECT pg_wal_replay_resume()")
    unit = f"postgresql@{uno.origin.version}-vps_uno"
    uno.recovery.run("systemctl", "stop", unit)
    with pytest.raises(Refused, match="respaldo is down"):
        switchover(blocks["vps_uno"])
    uno.recovery.run("systemctl", "start", unit)
    assert uno.origin.machine.run("systemctl", "is-active", "odoo").stdout == "active\n"


def test_forged_edited_replayed_and_foreign_receipts_let_nobody_write(
    uno: Pair, dos: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """Somebody puts a receipt there by which the origin might write."""
    failover(blocks["vps_uno"])
    uno.at_recovery("CREATE TABLE outage AS SELECT 1 AS n", "cliente1")
    receipts = "/var/lib/relevo/vps_uno/receipts"
    newest = uno.recovery.run("sh", "-c", f"ls {receipts} | tail -1").stdout.strip()
    genuine = uno.recovery.read(f"{receipts}/{newest}")
    sealed = json.loads(genuine)
    facts = json.loads(sealed["text"])
    home = {**facts, "epoch": facts["epoch"] + 1, "giver": "recovery", "taker": "origin"}
    edited = json.dumps(home, sort_keys=True, separators=(",", ":"))
    path = f"{receipts}/{home['epoch']:06d}.json"
    for forged in (
        json.dumps({"text": edited, "signature": sealed["signature"]}) + "\n",
        json.dumps({"text": edited, "signature": ""}) + "\n",
        "{}\n",
        dos.recovery.read(f"/var/lib/relevo/{dos.name}/right.json"),
    ):
        uno.recovery.write(path, forged)
        with pytest.raises(Refused, match="that Relevo never signed"):
            failback(blocks["vps_uno"])
        assert uno.at_origin("SELECT pg_is_in_recovery()") == "t"
        uno.recovery.run("rm", path)
    uno.recovery.write(path, genuine)  # replayed: an old one under a new number entitles to nothing

    failback(blocks["vps_uno"], accept_loss=True, reason="drill: who knows")
    kept = uno.origin.machine.run("sh", "-c", f"cat {receipts}/*").stdout
    assert "drill: who knows" in kept
    assert uno.at_origin("SELECT n FROM outage", "cliente1") == "1"
    uno.at_origin("DROP TABLE outage", "cliente1")
    assert ".false" in uno.recovery.run("ls", receipts).stdout, "the replayed one is kept"
    uno.recovery.run("sh", "-c", f"rm {receipts}/*.false")
    no_strangers(uno)
