"""Whether an instance can get another name now: asked before anything is touched.

A refusal between the removal and the set-up would leave it without a replica, so all is asked
before that a set-up asks later. What the old name has is the new one's to be.
"""

from dataclasses import replace
from pathlib import PurePosixPath

from blocks import users
from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.authority import guard
from tasks.doctor import examine
from tasks.filestore import key
from tasks.host import files, managed_block
from tasks.host.files import STATE
from tasks.install.programs import UNITS
from tasks.postgres.observe import observe
from tasks.readiness import ahead, preflight
from tasks.readiness.probes import Need
from tasks.recovery import allotted
from tasks.removal import inherited
from tasks.run.step import step
from tasks.serving import site_files
from tasks.standby import clone

SLOT = "SELECT slot_name FROM pg_replication_slots WHERE slot_name = ANY($1::text[])"
CLUSTERS = PurePosixPath("/var/lib/postgresql")


@step("see whether {instance.name} can be renamed to {heir.name}")
def require(
    instance: OdooInstance, heir: OdooInstance, *, allow_restart: bool
) -> dict[PurePosixPath, str]:
    """Refuse a name that a host has already, and what the set-up of it would be refused for.

    Say which files are copied again, and why.
    """
    if found := [*_at_recovery(instance, heir), *_at_origin(heir)]:
        said = "; ".join(found)
        raise Refused(f"the name {heir.name} is in use: {said}", hint="choose another name")
    preflight.require_hosts(heir)
    ahead.require_but(instance, _needs(heir), allow_restart=allow_restart)
    return inherited.require(instance, heir)


def _at_recovery(instance: OdooInstance, heir: OdooInstance) -> list[str]:
    """Name what is there of the new name, but for what an earlier run has kept for it."""
    place, shell = heir.recovery, heir.recovery.host.shell()
    paths = [
        place.cluster.config_dir, STATE / heir.name, UNITS / place.odoo.unit,
        site_files.folder(heir),
    ]  # fmt: skip
    gone = files.missing(shell, *paths)
    found = [f"{path} is on {place}" for path in paths if str(path) not in gone]
    if not files.exists(shell, inherited.room(heir.directory, instance.name)):
        if files.exists(shell, heir.directory):
            found.append(f"{heir.directory} is on {place}")
        argv = ("getent", "passwd", users.odoo_user(heir.name), users.cluster_user(heir.name))
        there = shell.run(argv, check=False).stdout.splitlines()
        found += [f"{place} has the user {line.partition(':')[0]}" for line in there]
    noted = allotted.known(shell).get(heir.name)
    if noted not in (None, allotted.of(heir)):
        found.append(f"{place} has noted ports for it")
    return found


def _at_origin(heir: OdooInstance) -> list[str]:
    place, shell, cluster = heir.origin, heir.origin.host.shell(), heir.origin.cluster
    paths = [STATE / heir.name, guard.folder(heir), key.gate_path(heir)]
    gone = files.missing(shell, *paths)
    found = [f"{path} is on {place}" for path in paths if str(path) not in gone]
    if heir.name in managed_block.names(files.read(shell, cluster.config_dir / "pg_hba.conf")):
        found.append(f"pg_hba.conf of {cluster} on {place} names it")
    if cluster.query(shell, SLOT, [heir.name, clone.slot(heir)]):
        found.append(f"{place} has a replication slot of that name")
    return found


def _needs(heir: OdooInstance) -> dict[str, Need]:
    """Say what is asked otherwise than of a set-up: the old copy makes room, its ports are ours."""

    def room(old: OdooInstance) -> str:
        freed = freed_bytes(old)
        clone.require_room(old.recovery, old.origin, CLUSTERS, freed=freed)
        return "there is room for a clone when the old one is gone"

    def ports(old: OdooInstance) -> str:
        return allotted.require_free(old, but=heir.name)

    known = {need.name: need for need in ahead.OF_BOTH}
    return {
        name: replace(known[name], ask=ask)
        for name, ask in ((ahead.CLONE.name, room), (ahead.PORTS[0], ports))
    }


def freed_bytes(instance: OdooInstance) -> int:
    """Tell what the removal of the old copy frees for the new one: nothing on another disk."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    if ahead.is_new(instance):
        return 0
    folder = observe(recovery).directory
    mounts = shell.run(("stat", "-c", "%m", str(folder), str(CLUSTERS))).stdout.splitlines()
    if len(set(mounts)) != 1:
        return 0
    owner = recovery.cluster.owner
    argv = ("du", "-sxB1", str(folder))
    done = shell.run(argv, user=owner, check=False, timeout_seconds=600)
    return int((done.stdout.split() or ["0"])[0])


def whereabouts(heir: OdooInstance, former: str, *, begun: OdooInstance | None = None) -> str:
    """Say what the recovery host has of an instance between its names; `begun` is the old one."""
    recovery, shell = heir.recovery, heir.recovery.host.shell()
    waiting = inherited.room(heir.directory, former)
    if examine.has_replica(heir):
        return f"{heir.name} has its replica on {recovery}"
    if begun and not ahead.is_new(begun):
        return f"the cluster {begun.recovery.cluster} is still on {recovery}"
    if files.exists(shell, waiting):
        return (
            f"{recovery} has no copy of the database of {heir.name} now, and its files wait in "
            f"{waiting} there"
        )
    return f"the replica of {heir.name} on {recovery} is not whole yet"
