"""On the recovery host an instance runs as users of its own, in units that reach nothing else."""

import re

import pytest

from blocks.instance import OdooInstance
from tasks.host import confine, layout
from tasks.readiness import drill_commands
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair
from tests.stack import Stack

# `systemd-analyze security`: 0 is no exposure at all, 9.6 a service that systemd does not confine.
# What is left of each: a user and a group of its own kept for files (no DynamicUser), the network,
# and the address families that it needs. A figure may fall, never grow.
MOST = {"postgresql@{version}-{name}": 1.6, "odoo_{name}": 1.7, "relevo-follow-odoo_{name}": 1.7,
        "relevo-door-{name}@try": 1.6}  # fmt: skip
# The overlay of a drill is mounted by root, who is given up before Odoo's first instruction.
MOST_OF_A_DRILL = {False: 1.4, True: 5.0}


def exposure(machine: Machine, unit: str) -> float:
    said = machine.run("systemd-analyze", "security", "--no-pager", f"{unit}.service", check=False)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", said.stdout)
    assert found, said.stdout + said.stderr
    return float(found[1])


def test_every_unit_is_confined_and_stays_so(uno: Pair) -> None:
    version = uno.lab.generation.postgres
    for unit, most in MOST.items():
        name = unit.format(version=version, name=uno.name)
        assert exposure(uno.recovery, name) <= most, name


@pytest.mark.parametrize("mounts", [False, True])
def test_the_units_of_a_drill_are_confined(uno: Pair, *, mounts: bool) -> None:
    unit, machine = "relevo-exposure-of-a-drill", uno.recovery
    found = confine.properties(network=False, mounts=mounts)
    user = "root" if mounts else "db_vps_uno"
    machine.run(*drill_commands.start_unit(f"{unit}.service", ("sleep", "60"), *found, user=user))
    try:
        assert exposure(machine, unit) <= MOST_OF_A_DRILL[mounts]
    finally:
        machine.run("systemctl", "stop", unit)


def test_all_that_runs_for_an_instance_belongs_to_its_own_users(uno: Pair) -> None:
    version = uno.lab.generation.postgres
    for unit, user in (
        (f"postgresql@{version}-{uno.name}", f"db_{uno.name}"),
        (f"relevo-follow-odoo_{uno.name}", f"odoo_{uno.name}"),
    ):
        group = uno.recovery.run("systemctl", "show", unit, "-p", "ControlGroup", "--value").stdout
        path = f"/sys/fs/cgroup{group.strip()}/cgroup.procs"
        pids = uno.recovery.read(path).split()
        owners = uno.recovery.run("ps", "-o", "user:32=", "-p", ",".join(pids)).stdout.split()
        assert set(owners) == {user}, unit


def test_no_instance_reads_anything_of_another(
    uno: Pair, dos: Pair, blocks: dict[str, OdooInstance]
) -> None:
    """All files of one that hold something, tried as each user of the other."""
    instance = blocks[uno.name]
    folders = (
        str(instance.directory),
        str(layout.postgres(instance)),
        str(instance.recovery.cluster.sockets),
        f"/var/lib/postgresql/{uno.lab.generation.postgres}/{uno.name}",
        f"/etc/nginx/relevo/{uno.name}",
    )  # fmt: skip
    script = 'find "$@" \\( -type f -o -type s \\) -readable 2>/dev/null'
    for user in (f"odoo_{dos.name}", f"db_{dos.name}", "nobody"):
        seen = uno.recovery.run("sh", "-c", script, "find", *folders, user=user, check=False)
        assert seen.stdout == "", user
    own = uno.recovery.run(
        "sh", "-c", script, "find", *folders, user=f"odoo_{uno.name}", check=False
    )
    assert "/data_dir/filestore/" in own.stdout, "the question finds what can be read"


def test_nobody_finds_a_door_at_a_recovery_host_that_follows(uno: Pair) -> None:
    reach = f"</dev/tcp/{uno.recovery.address}/{uno.port}"
    tried = uno.origin.machine.run("timeout", "5", "bash", "-c", reach, check=False)
    assert tried.returncode == 1, "it is refused, not silent"
    assert "refused" in tried.stderr
    hba = f"/etc/postgresql/{uno.lab.generation.postgres}/{uno.name}/pg_hba.conf"
    assert "replica_" not in uno.recovery.read(hba)


def test_after_a_boot_of_the_recovery_host_files_follow_with_no_run_of_anything(
    uno: Pair, stack: Stack
) -> None:
    follower = f"relevo-follow-odoo_{uno.name}"
    with stack.unscheduled():
        uno.recovery.shutdown()
        uno.recovery.boot()
        uno.recovery.wait_until_succeeds("systemctl", "is-active", "--quiet", follower)
        wait_until(uno.is_home, "the standby streams again")
        conditions = f"/run/{follower}/conditions.json"
        following = ("grep", "-q", '"state": "following"', conditions)
        uno.recovery.wait_until_succeeds(*following, timeout_seconds=60)
