"""While the recovery host serves a customer, and while his origin comes back."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from flows.failback import failback
from flows.failover import failover
from tests.attacks import canary, identity, tricks
from tests.attacks.oracle import TOOL, Stage
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers

# As whoever has Odoo's database role, which the runbook makes a superuser.
PROGRAM = "COPY (SELECT 1 WHERE false) TO PROGRAM '{} {}'"
KNOCK = f"""
end=$(($(date +%s) + 180))
while [ ! -e {tricks.STOP} ] && [ "$(date +%s)" -lt "$end" ]; do
    psql -XAtq -d "$1" -c "$2" && echo in
    sleep 0.3
done 2>/dev/null
"""


def _held(pair: Pair) -> bool:
    machine = pair.origin.machine
    argv = ("psql", "-p", str(pair.origin.port), "-XAtqc", "SELECT pg_is_in_recovery()")
    serves = machine.run(*argv, user="postgres", check=False).stdout == "f\n"
    odoo = machine.run("systemctl", "is-active", "odoo", check=False).stdout == "active\n"
    return not serves and not odoo


@contextmanager
def knocking(pair: Pair) -> Iterator[None]:
    """Try at the origin, all the while, to be a superuser at the recovery host by the role that
    rewinds: whoever owns the database has made it one.
    """
    machine = pair.origin.machine
    machine.run("rm", "-f", tricks.STOP)
    string = (
        f"host={pair.recovery.address} port={pair.port} user=replica_rewind dbname=postgres "
        "sslmode=require connect_timeout=3"
    )
    argv = ("sh", "-c", KNOCK, "knock", string, PROGRAM.format(TOOL, "trap-rejoin"))
    with subprocess.Popen(
        machine.inside(*argv, user="postgres"), stdout=subprocess.PIPE, text=True
    ) as knocker:
        try:
            yield
        finally:
            machine.run("touch", tricks.STOP)
            print("came in", knocker.communicate(timeout=30)[0].count("in"), "times")


def _come_home(uno: Pair, block: OdooInstance, undo: tuple[str, ...]) -> None:
    """A way home that refuses what was planted is as good as any; then an operator takes it away.

    The link leads to a file of root's, and is followed with the rights of who made it: none.
    """
    for _ in range(2):
        try:
            failback(block)
        except (CommandFailed, Refused) as error:
            if "replica_rewind" in str(error):
                uno.at_recovery("ALTER ROLE replica_rewind NOSUPERUSER")
            elif "start.conf" in str(error):
                uno.origin.machine.run(*undo, user="postgres")
            else:
                raise
        else:
            return
    failback(block)


def test_a_customer_who_is_served_and_brought_home_gets_nothing_of_another(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """His module, his superuser and his origin do what they can all the night.

    At the origin, PostgreSQL's user has put a link to a file of root's where the guard writes.
    """
    uno, block, machine = stage.attacker, blocks["vps_uno"], stage.attacker.origin.machine
    start = f"/etc/postgresql/{uno.origin.version}/{uno.origin.cluster}/start.conf"
    link = f"mv {start} {start}.mine; ln -s {canary.START} {start}"
    with canary.untouched(machine, uno.recovery), tricks.module(uno, block):
        machine.run("sh", "-c", link, user="postgres")
        stage.sweep()
        machine.cut()
        try:
            failover(block, origin_is_down=True, reason="drill")
            uno.recovery.run(
                "psql", "-h", identity.sockets(uno), "-p", str(uno.port), "-U", "odoo",
                "-d", "cliente1", "-c", PROGRAM.format(TOOL, "served"), user=stage.own.odoo,
                check=False,
            )  # fmt: skip
            uno.at_recovery("ALTER ROLE replica_rewind SUPERUSER")
            open_door = uno.recovery.run("ss", "-Hltn", f"sport = :{uno.port}").stdout
        finally:
            machine.heal()
        wait_until(lambda: _held(uno), "the origin is held", 30)
        with knocking(uno):
            _come_home(
                uno, block, ("sh", "-c", f"test ! -e {start}.mine || mv {start}.mine {start}")
            )
        uno.at_origin("ALTER ROLE replica_rewind NOSUPERUSER")
        machine.run("rm", "-f", f"{start}.mine")
        loot = stage.collect()
        left = stage.left_behind()
    assert "module" in {each.name for each in loot}, "the payload has run"
    breaches = [each for one in loot for each in one.breaches(stage)]
    assert not breaches, "\n".join(dict.fromkeys(breaches[:30]))
    assert uno.recovery.address not in open_door, "nobody rejoins yet, and the door is open"
    assert not left, "nothing of it lives on after the way home"
    no_strangers(uno)
