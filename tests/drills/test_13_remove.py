"""An instance is taken out: both hosts are as before, and another one there notices nothing."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import removal, signers
from deployments.secrets import Secrets
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from tasks.plan import pages
from tasks.removal.removal import Wishes
from tasks.run import terminal
from tasks.synchronous import synchronous
from tests.documents import commands, filled
from tests.killing import DONE, KILLED, killed_at
from tests.lab import inventory
from tests.lab.lab import Lab
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, no_strangers, ready
from tests.stack import Stack

# In CI every second; `RELEVO_STRIDE=1` is each.
STRIDE = int(os.environ.get("RELEVO_STRIDE", "2"))
# All that could be of Relevo's: names with owners and modes; the text of what it edits.
SEEN = r"""
cd /
find etc opt root home srv usr/local var/lib var/log/relevo var/log/postgresql run/relevo \
    run/relevo-postgresql run/postgresql -xdev \( -path 'var/lib/postgresql/*/*/*' \
    -o -path var/lib/systemd -o -path var/lib/nginx -o -path '*/__pycache__' \
    -o -path '*/.local/share/Odoo/*' \) -prune -o -printf '%p %y %u:%g %m %l\n' 2>/dev/null
for path in etc/passwd etc/group etc/shadow etc/gshadow etc/subuid root/.ssh/authorized_keys \
    home/*/.ssh/authorized_keys etc/postgresql/*/main/*.conf etc/postgresql/*/main/conf.d/* \
    var/lib/postgresql/.pgpass var/lib/postgresql/*/main/postgresql.auto.conf; do
    [ -f "$path" ] && sed "s,^,$path: ," "$path"
done
find var/spool/cron -type f
systemctl list-unit-files --plain --no-legend | awk '{print "unit", $1, $2}'
systemctl list-units --all --plain --no-legend '*relevo*' 'odoo*' 'postgresql@*' |
    awk '{print "loaded", $1, $3}'
systemctl show 'postgresql@*' odoo --property=Id,ExecCondition,DropInPaths
true
"""
# What comes and goes by itself; what is the other instance's; the files of locks, which go with the
# next boot; and start.conf, which says auto as before, in fewer words.
PASSING = re.compile(
    r"etc/(passwd|group|shadow|gshadow|subuid|subgid)- |etc/\.pwd\.lock|etc/ld\.so\.cache"
    r"|.*vps_dos|run/relevo d|run/relevo/[a-z0-9_.-]+\.(lock|holder) f"
    r"|run/relevo/[a-z0-9_.-]+\.turn(/\d+ f| d)"
    r"|etc/postgresql/.*/start\.conf: |run/postgresql/.*pg_stat_tmp/"
    r"|var/lib/(dbus|private|sudo|logrotate|apt|dhcp|ucf)"
)
SLOTS = "SELECT coalesce(string_agg(slot_name, ','), '') FROM pg_replication_slots"
ROLES = "SELECT coalesce(string_agg(rolname, ','), '') FROM pg_roles WHERE rolname ~ 'replica'"
RIGHTS = "SELECT count(*) FROM pg_proc, aclexplode(proacl) AS a WHERE a.grantee > 16000"
STANDS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
OURS_STANDS = f"{STANDS} AND query LIKE 'CREATE TABLE saved%'"
SAVED = "SELECT to_regclass('saved') IS NOT NULL"
SAVE = "runuser -u postgres -- setsid psql -d postgres -f /tmp/sql >/dev/null 2>&1 &"
STARTED = "SELECT pg_postmaster_start_time()"
ROOM = "/var/lib/relevo"
PORTS = f"{ROOM}/ports.json"


def seen(machine: Machine) -> set[str]:
    lines = machine.run("sh", "-c", SEEN).stdout.splitlines()
    return {line for line in lines if not PASSING.match(line)}


def left(machine: Machine, earlier: set[str]) -> list[str]:
    now = seen(machine)
    return sorted([f"+ {each}" for each in now - earlier] + [f"- {each}" for each in earlier - now])


def asked(pair: Pair) -> tuple[str, ...]:
    return tuple(map(pair.at_origin, (SLOTS, ROLES, RIGHTS)))


@pytest.fixture
def before(
    lab: Lab, stack: Stack, inventory_path: Path
) -> Iterator[tuple[Pair, set[str], set[str]]]:
    """Both hosts before vps_uno is replicated; vps_dos is on the recovery host already."""
    if lab.respaldo.run("test", "-e", ROOM, check=False).returncode == 0:
        with stack.unscheduled():  # a run by schedule would write on the new hosts
            stack.end_all()
            anew(lab, stack, inventory_path)
    dos = Pair(lab, "vps_dos", lab.dos, 5434, 8269)
    with stack.unscheduled():
        stack.complete(f"replicate/{dos.name}")
        yield dos, seen(lab.uno.machine), seen(lab.respaldo)
        for machine in lab.machines:  # a drill that failed may have left one without power
            machine.boot()


def anew(lab: Lab, stack: Stack, path: Path) -> None:
    """Give the lab new hosts, and its own inventory, as before the first drill."""
    for machine in lab.machines:
        lab.fresh(machine.name)
    inventory.write(lab, path.parent)
    applied_anew(stack, lab, path)


def applied_anew(stack: Stack, lab: Lab, path: Path) -> None:
    """Take vps_uno into Prefect, if need be with the options of its DNS provider alone."""
    secrets = path.with_name("secrets.yaml")
    known = yaml.safe_load(secrets.read_text())
    secrets.write_text(yaml.safe_dump({"vps_uno": {"dns": inventory.dns(lab)}, **known}))
    stack.run("--inventory", str(path), "apply", "--prune")


def boot(pair: Pair) -> str:
    """Cut the origin's power; it serves when it is back. Give when its PostgreSQL was started."""
    pair.origin.machine.kill()
    pair.origin.machine.boot()
    pair.origin.machine.wait_for_port(pair.origin.http_port)
    assert pair.at_origin("SELECT pg_is_in_recovery()") == "f"
    return pair.at_origin(STARTED)


def test_an_instance_that_is_taken_out_leaves_nothing_though_it_is_killed_at_each_step(
    before: tuple[Pair, set[str], set[str]],
    uno: Pair,
    stack: Stack,
    blocks: dict[str, OdooInstance],
    inventory_path: Path,
) -> None:
    """It has been there and back, so that its origin has followed; a boot in between serves."""
    dos, at_origin, on_recovery = before
    with terminal.without_server():
        pages.write(blocks[uno.name])
    failover(blocks[uno.name], reason="drill")
    failback(blocks[uno.name])
    assert asked(uno)[0] == uno.name
    started = uno.at_origin(STARTED)
    secrets = inventory_path.with_name("secrets.yaml")

    kills, step, said = 0, 1, inventory_path.with_name("said")
    server = (stack.api, stack.env["PREFECT_API_AUTH_STRING"])
    while (
        end := killed_at(inventory_path, uno.name, "remove", step, said, server=server)
    ) == KILLED:
        kills, step = kills + 1, step + STRIDE
        assert uno.at_origin(STARTED) == started, "PostgreSQL was restarted"
        title = said.read_text().splitlines()[-1]
        if "remove the guard" in title or title.endswith(f"forget {uno.name} at uno"):
            started = boot(uno)
    text = said.read_text()
    assert end == DONE, text[-3000:]
    assert kills >= 16 // STRIDE, text

    assert uno.at_origin(STARTED) == started, "PostgreSQL was restarted"
    assert asked(uno) == ("", "", "0")
    found = [*left(uno.recovery, on_recovery), *left(uno.origin.machine, at_origin)]
    assert not found, "\n".join(found)
    ready(check(blocks[dos.name]))
    no_strangers(dos)

    assert set(json.loads(uno.recovery.read(PORTS))["instances"]) == {dos.name}
    assert uno.name not in yaml.safe_load(secrets.read_text())
    assert uno.name not in signers.read(Secrets(secrets))
    found = stack.request("POST", "/deployments/filter", {"limit": 200})
    assert not [each["name"] for each in found if uno.name in each["name"]]
    documents = stack.request("POST", "/block_documents/filter", {})
    assert "vps-uno" not in {each["name"] for each in documents}
    kept = list((inventory_path.parent / removal.FOLDER).glob(f"{uno.name}-*.json"))
    receipts = json.loads(kept[0].read_text())["receipts"]
    assert len(receipts["uno"]) == len(receipts["respaldo"]) >= 4

    applied_anew(stack, uno.lab, inventory_path)
    stack.complete(f"replicate/{uno.name}")
    no_strangers(uno)


def test_an_instance_is_taken_out_by_hand_as_the_page_says(
    before: tuple[Pair, set[str], set[str]],
    uno: Pair,
    stack: Stack,
    blocks: dict[str, OdooInstance],
    inventory_path: Path,
) -> None:
    """Where no runner is left: each block of the page, in its order, as root in bash."""
    dos, at_origin, on_recovery = before
    block, started = blocks[uno.name], uno.at_origin(STARTED)
    names = {
        "/srv/relevo": str(block.directory.parent),
        "NAME": uno.name,
        "VERSION": str(uno.lab.generation.postgres),
        "ADMIN": uno.origin.ssh_user,
        "RECOVERY": block.recovery.host.peer_address,
        "DATA": str(block.origin.odoo.data_dir),
    }
    first, second, third, aside, last = (
        filled(each, names) for each in commands("docs/take-out.md", "Where no runner is left")
    )
    for machine, script in (
        (uno.recovery, first), (uno.origin.machine, second), (uno.recovery, third),
        (uno.origin.machine, aside), (uno.origin.machine, last),
    ):  # fmt: skip
        machine.run("bash", "-c", script)
    uno.origin.machine.run("systemctl", "daemon-reload")

    assert uno.at_origin(STARTED) == started, "PostgreSQL was restarted"
    assert asked(uno) == ("", "", "0")
    found = [*left(uno.recovery, on_recovery), *left(uno.origin.machine, at_origin)]
    assert not found, "\n".join(found)
    ready(check(blocks[dos.name]))
    no_strangers(dos)
    assert set(json.loads(uno.recovery.read(PORTS))["instances"]) == {dos.name}
    boot(uno)
    stack.complete(f"replicate/{uno.name}")
    no_strangers(uno)


def test_what_is_left_of_an_instance_is_taken_out_though_the_other_host_is_gone(
    before: tuple[Pair, set[str], set[str]],
    uno: Pair,
    stack: Stack,
    blocks: dict[str, OdooInstance],
    inventory_path: Path,
) -> None:
    """Commits waited for the recovery host, and stand still as long as it is missed."""
    dos, at_origin, on_recovery = before
    instance, secrets = blocks[uno.name], Secrets(inventory_path.with_name("secrets.yaml"))
    waits = instance.replication.model_copy(update={"synchronous": "wait"})
    instance = instance.model_copy(update={"replication": waits})
    with terminal.without_server():
        synchronous.apply(instance)
        started = uno.at_origin(STARTED)
        uno.recovery.kill()
        save = ("sh", "-c", f"echo 'CREATE TABLE saved()' >/tmp/sql; {SAVE}")
        uno.origin.machine.run(*save)
        # Odoo's own commits may stand beside it.
        wait_until(lambda: uno.at_origin(OURS_STANDS) == "1", "our commit stands still", 60)

        removal.remove(instance, secrets, Wishes(recovery_is_gone=True), why="it burnt")

        wait_until(lambda: uno.at_origin(SAVED) == "t", "the commit was made", 60)
        wait_until(lambda: uno.at_origin(STANDS) == "0", "nothing stands still", 60)
        assert uno.at_origin(STARTED) == started
        uno.at_origin("DROP TABLE saved")
        assert asked(uno) == ("", "", "0")
        uno.origin.machine.run("rm", "/tmp/sql")
        found = left(uno.origin.machine, at_origin)
        assert not found, "\n".join(found)

        uno.recovery.boot()
        uno.origin.machine.kill()
        gone = Wishes(origin_is_gone=True)
        with pytest.raises(Refused, match="is all that is left of it"):
            removal.remove(instance, secrets, gone, why="and so did that")
        removal.remove(instance, secrets, replace(gone, delete_kept=True), why="and so did that")

    found = left(uno.recovery, on_recovery)
    assert not found, "\n".join(found)
    uno.origin.machine.boot()
    ready(check(blocks[dos.name]))
    no_strangers(dos)
    applied_anew(stack, uno.lab, inventory_path)
