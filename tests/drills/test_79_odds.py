"""What is wrong with one of the two clusters is said before anybody loses anything by it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from tasks.plan.measure import draw
from tasks.postgres.observe import observe
from tasks.run import terminal
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, no_strangers, ready

Blocks = dict[str, OdooInstance]


def _standby(pair: Pair) -> str:
    return f"/var/lib/postgresql/{pair.lab.generation.postgres}/{pair.name}"


def _unit(pair: Pair) -> str:
    return f"postgresql@{pair.lab.generation.postgres}-{pair.name}"


def _serves_at_home(pair: Pair) -> bool:
    odoo = pair.origin.machine.run("systemctl", "is-active", pair.origin.unit, check=False)
    return odoo.stdout == "active\n" and pair.at_origin("SELECT pg_is_in_recovery()") == "f"


# An interface without a cable, as networkd's own unit waits for it.
NEVER_ONLINE = """\
[Unit]
Before=network-online.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sleep infinity
[Install]
WantedBy=network-online.target
"""


@contextmanager
def _never_online(machine: Machine) -> Iterator[None]:
    """Have a host whose network is never complete, as it was not at its last boot."""
    machine.write("/etc/systemd/system/lab-wait-online.service", NEVER_ONLINE, mode=0o644)
    machine.run("systemctl", "enable", "lab-wait-online")
    machine.run("systemctl", "stop", "network-online.target")
    try:
        yield
    finally:
        machine.run("systemctl", "disable", "--now", "lab-wait-online")
        machine.run("rm", "/etc/systemd/system/lab-wait-online.service")
        machine.run("systemctl", "daemon-reload")


def test_a_network_that_is_never_complete_holds_up_no_way_home(uno: Pair, blocks: Blocks) -> None:
    with _never_online(uno.origin.machine):
        failover(blocks[uno.name])
        failback(blocks[uno.name])
    no_strangers(uno)


@contextmanager
def _frozen_receiver(pair: Pair) -> Iterator[None]:
    """Let the process that receives hang: the origin believes in it for a minute more."""
    pid = pair.at_recovery("SELECT pid FROM pg_stat_wal_receiver")
    pair.recovery.run("kill", "-STOP", pid)
    try:
        yield
    finally:
        pair.recovery.run("kill", "-CONT", pid, check=False)


def test_a_receiver_that_hangs_stops_no_healthy_origin(uno: Pair, blocks: Blocks) -> None:
    with _frozen_receiver(uno), pytest.raises(Refused, match="respaldo receives what uno writes"):
        failover(blocks[uno.name])
    assert _serves_at_home(uno)
    wait_until(uno.is_home, "it follows again", 60)
    no_strangers(uno)


def test_a_number_that_a_power_cut_has_left_keeps_no_cluster_down(uno: Pair, dos: Pair) -> None:
    """After the next boot it belongs to a process of another cluster, and Debian is misled."""
    data = uno.origin.machine.psql(uno.origin.port, "SHOW data_directory")
    unit = f"postgresql@{uno.origin.version}-{uno.origin.cluster}"
    misleading = ("runuser", "-u", "postgres", "--", "sleep", "300")
    uno.origin.machine.run("systemd-run", "--unit=misleading", *misleading)
    show = ("systemctl", "show", "misleading", "--value", "--property=MainPID")
    of_another = uno.origin.machine.run(*show).stdout.strip()
    _cut_off(uno.origin.machine, unit, data, of_another)
    of_dos = uno.recovery.run("head", "-n", "1", f"{_standby(dos)}/postmaster.pid").stdout.strip()
    _cut_off(uno.recovery, _unit(uno), _standby(uno), of_dos)

    uno.origin.machine.run("systemctl", "start", unit)
    uno.recovery.run("systemctl", "start", _unit(uno))
    wait_until(uno.is_home, "both have started, and the one follows the other", 60)
    assert dos.is_home(), "who has the number now goes on"
    uno.origin.machine.run("systemctl", "stop", "misleading")
    uno.origin.machine.run("systemctl", "start", uno.origin.unit)
    no_strangers(uno)


def _cut_off(machine: Machine, unit: str, data: str, number: str) -> None:
    """End a cluster as a power cut does, and write another number into what it leaves."""
    machine.run("cp", "-a", f"{data}/postmaster.pid", "/tmp/left")
    machine.run("systemctl", "kill", "--signal=KILL", unit)
    machine.wait_until_succeeds("systemctl", "is-failed", unit)  # and it has cleared up
    machine.run("sed", "-i", f"1s/.*/{number}/", "/tmp/left")
    machine.run("mv", "/tmp/left", f"{data}/postmaster.pid")
    machine.run("systemctl", "reset-failed", unit)


def test_a_spoiled_auto_conf_is_said_and_mended_by_replicate(uno: Pair, blocks: Blocks) -> None:
    spoiled = "primary_conninfo = 'host=192.0.2.1 port=1 user=nobody'"
    path = f"{_standby(uno)}/postgresql.auto.conf"
    uno.recovery.run("sh", "-c", 'echo "$1" >>"$2"', "spoil", spoiled, path)
    uno.recovery.run("systemctl", "restart", _unit(uno))
    with pytest.raises(Refused, match="does not stream from uno"):
        check(blocks[uno.name])
    replicate(blocks[uno.name])
    assert uno.is_home()
    assert "192.0.2.1" not in uno.recovery.read(path)
    no_strangers(uno)


def test_a_grant_that_is_gone_refuses_a_failback_before_anything_stops(
    uno: Pair, blocks: Blocks
) -> None:
    failover(blocks[uno.name])
    role = blocks[uno.name].replication.rewind_user
    function = "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)"
    uno.at_recovery(f"REVOKE EXECUTE ON FUNCTION {function} FROM {role}")
    with pytest.raises(Refused, match="uno cannot log in to PostgreSQL of respaldo"):
        failback(blocks[uno.name])
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    odoo = uno.recovery.run("systemctl", "is-active", f"odoo_{uno.name}.service")
    assert odoo.stdout == "active\n"
    uno.at_recovery(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")
    failback(blocks[uno.name])
    no_strangers(uno)


def test_an_origin_without_hints_is_said_and_is_cloned_and_not_rewound(
    uno: Pair, blocks: Blocks
) -> None:
    """pg_rewind needs them, or checksums; somebody has switched them off."""
    machine, block = uno.origin.machine, blocks[uno.name]
    _hints(uno, "off")
    if uno.lab.generation.checksums:
        _without_checksums(uno)
    wait_until(uno.is_home, "it follows again", 60)
    assert "uno runs with neither wal_log_hints nor checksums" in check(block).facts["parity"]
    machine.cut()
    failover(block, origin_is_down=True, reason="drill")
    uno.at_origin("CREATE TABLE only_here AS SELECT 1 AS n", "cliente1")
    uno.at_recovery("CREATE TABLE outage AS SELECT 1 AS n", "cliente1")
    machine.heal()
    failback(block)
    assert uno.at_origin("SELECT n FROM outage", "cliente1") == "1"
    assert uno.at_origin("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    uno.at_origin("DROP TABLE outage", "cliente1")
    with pytest.raises(Refused, match="another file overrides what replication needs: wal_log"):
        replicate(block)
    uno.at_origin("ALTER SYSTEM RESET wal_log_hints")
    replicate(block)
    ready(check(block))
    no_strangers(uno)


def _hints(pair: Pair, value: str) -> None:
    pair.at_origin(f"ALTER SYSTEM SET wal_log_hints = {value}")
    version, machine = pair.lab.generation.postgres, pair.origin.machine
    machine.run("systemctl", "restart", f"postgresql@{version}-{pair.origin.cluster}")


def _without_checksums(pair: Pair) -> None:
    version, machine = pair.lab.generation.postgres, pair.origin.machine
    data = f"/var/lib/postgresql/{version}/{pair.origin.cluster}"
    machine.run("systemctl", "stop", f"postgresql@{version}-{pair.origin.cluster}")
    program = f"/usr/lib/postgresql/{version}/bin/pg_checksums"
    machine.run(program, "--disable", "-D", data, user="postgres")
    machine.run("systemctl", "start", f"postgresql@{version}-{pair.origin.cluster}")


def test_another_cluster_in_the_standby_s_place_is_never_promoted(
    uno: Pair, blocks: Blocks
) -> None:
    machine, data = uno.recovery, _standby(uno)
    machine.run("systemctl", "stop", _unit(uno))
    machine.run("mv", data, f"{data}.kept")
    initdb = f"/usr/lib/postgresql/{uno.lab.generation.postgres}/bin/initdb"
    owner = f"db_{uno.name}"
    machine.run("install", "-d", "-m", "700", "-o", owner, "-g", owner, data)
    machine.run(initdb, "-U", "postgres", "-D", data, user=owner)
    machine.run("touch", f"{data}/standby.signal", user=owner)
    machine.run("systemctl", "start", _unit(uno))
    try:
        for down in (False, True):
            with pytest.raises(Refused, match="not the copy"):
                failover(blocks[uno.name], origin_is_down=down, reason="drill")
    finally:
        machine.run("systemctl", "stop", _unit(uno))
        machine.run("rm", "-rf", data)
        machine.run("mv", f"{data}.kept", data)
        machine.run("systemctl", "start", _unit(uno))
    assert _serves_at_home(uno)
    wait_until(uno.is_home, "it follows again", 60)
    no_strangers(uno)


def test_a_full_disk_at_the_recovery_host_refuses_a_failover_until_there_is_room(
    uno: Pair, blocks: Blocks
) -> None:
    machine, wal = uno.recovery, f"{_standby(uno)}/pg_wal"
    machine.run("systemctl", "stop", _unit(uno))
    machine.run("sh", "-ec", SMALL, "small", wal)
    machine.run("systemctl", "start", _unit(uno))
    wait_until(uno.is_home, "it follows", 60)

    def follows_no_longer() -> bool:
        # Segments made ahead still take some WAL, and a restartpoint may free one.
        machine.run("sh", "-c", 'cat /dev/zero >>"$1/full"', "fill", wal, check=False)
        uno.at_origin("CREATE TABLE filler (n int); DROP TABLE filler; SELECT pg_switch_wal()")
        return not uno.is_home()

    try:
        wait_until(follows_no_longer, "it cannot follow", 120)
        with pytest.raises(Refused):
            check(blocks[uno.name])
        with pytest.raises(Refused):
            failover(blocks[uno.name])
        assert _serves_at_home(uno)
    finally:
        machine.run("rm", "-f", f"{wal}/full")
        machine.run("systemctl", "stop", _unit(uno), check=False)
        machine.run("sh", "-ec", LARGE, "large", wal)
        machine.run("systemctl", "start", _unit(uno))
    wait_until(uno.is_home, "it follows again", 60)
    assert failover(blocks[uno.name]).facts["may be lost"] == "nothing"
    failback(blocks[uno.name])
    no_strangers(uno)


def test_a_leader_that_has_crashed_is_started_by_the_button_that_is_pressed_next(
    uno: Pair, blocks: Blocks
) -> None:
    block = blocks[uno.name]

    def crash() -> None:
        uno.recovery.run("systemctl", "kill", "--signal=KILL", _unit(uno))
        wait_until(lambda: not observe(block.recovery).online, "it is down", 60)

    failover(block)
    uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 1000) AS n", "cliente1")
    crash()
    with pytest.raises(Refused, match="customers were moved to respaldo, and its PostgreSQL is"):
        check(block)
    with terminal.without_server():
        seen = draw(block, "failover").situation
    assert seen.leader_is_down
    assert not seen.refusals
    assert failover(block).facts["may be lost"] == "nothing"
    assert uno.at_recovery("SELECT count(*) FROM outage", "cliente1") == "1000"
    # Stopped cleanly by somebody, it has handed over nothing, and no files either.
    uno.recovery.run("systemctl", "stop", _unit(uno))
    failback(block)
    assert _serves_at_home(uno)
    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "1000"
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)


# A disk of its own for the WAL, which can be filled.
SMALL = """
cp -a "$1" "$1.large"
size=$(($(du -sm "$1" | cut -f1) + 64))m
mount -t tmpfs -o size=$size,mode=700 small "$1"
chown postgres:postgres "$1"
cp -a "$1.large/." "$1/"
rm -rf "$1.large"
"""
LARGE = """
cp -a "$1" "$1.large"
umount "$1"
rm -rf "$1"
mv "$1.large" "$1"
"""
