"""Clone: a leader's whole data, copied beside what a node has, which goes on as it is meanwhile."""

from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.host.job import is_running, run_job, stop_job
from tasks.logins import login
from tasks.notices import progress
from tasks.postgres import commands
from tasks.postgres.observe import observe, observe_leader, read_control
from tasks.run import moments
from tasks.run.step import log
from tasks.run.wait import until
from tasks.standby import replication

CLONE_SECONDS = 24 * 3600


WAL_LINK = "has a link for pg_wal, in whose place the clone puts a folder of the data directory"
# Argument: a path. A link to a mount point is a link.
WAL_IS = """
if [ -L "$1" ]; then echo link; elif mountpoint -q "$1"; then echo mount; else echo folder; fi
"""
PACKS_SINCE = 15
# A server that was built with zstd offers it for its WAL too, and a program names its library.
PACKS = "SELECT 'zstd' = ANY (enumvals) FROM pg_settings WHERE name = 'wal_compression'"
UNPACKS = 'ldd "$1" | grep -q libzstd'
SLOT = "SELECT active FROM pg_replication_slots WHERE slot_name = $1"


def beside(directory: PurePosixPath) -> PurePosixPath:
    """Where a clone is made, until it takes the place of a data directory."""
    return directory.with_name(directory.name + ".relevo-new")


def slot(instance: OdooInstance) -> str:
    """The slot of a clone that is being made: the standby's own may be in use."""
    return f"{instance.name}_clone"


def make(instance: OdooInstance, node: Place, leader: Place) -> PurePosixPath:
    """Make a clone and prove that it is whole; return where it lies."""
    shell, directory = node.host.shell(), observe(node).directory
    target = beside(directory)
    require_wal_movable(node)
    require_room(node, leader, directory.parent)
    require_no_tablespaces(leader)
    if wal_is(node) == "link":
        log().warning("%s %s", node, WAL_LINK)
    if not is_running(shell, _job(instance)):
        files.remove_tree(shell, target)
        owner = files.owner(shell, node.cluster.owner)
        files.make_directory(shell, target, owner=owner, mode="700")
        replication.ensure_slot(leader.host.shell(), leader, slot(instance))
    # A base backup that bore the standby's name would confirm commits, and keep none if it failed.
    conninfo = login.stream_conninfo(instance, node, leader, name=slot(instance))
    command = commands.base_backup(
        node.cluster, directory=target, conninfo=conninfo, slot=slot(instance),
        packed=is_packed(node, leader),
    )  # fmt: skip
    run_job(
        shell, _job(instance), command, user=node.cluster.owner, timeout_seconds=CLONE_SECONDS,
        spares=(target,),
        on_progress=progress.reporter(f"base backup of {leader} to {node}"),
    )  # fmt: skip
    _require_whole(node, leader, target)
    return target


def is_packed(node: Place, leader: Place) -> bool:
    """Tell whether a base backup is compressed on its way: both ends have to know how."""
    if leader.cluster.version < PACKS_SINCE:
        return False
    program = str(node.cluster.bin_dir / "pg_basebackup")
    unpacks = node.host.shell().run(("sh", "-c", UNPACKS, "unpacks", program), check=False)
    return unpacks.status == 0 and leader.cluster.value(leader.host.shell(), PACKS) == "t"


def abandon(instance: OdooInstance, node: Place, leader: Place) -> None:
    """End and remove a clone that was cut off, and let go of the WAL that was kept for it."""
    drop(instance, node)
    shell, cluster = leader.host.shell(), leader.cluster
    if not cluster.query(shell, SLOT, slot(instance)):
        return
    until(
        lambda: not cluster.query(shell, SLOT, slot(instance))[0]["active"],
        what=f"nobody uses slot {slot(instance)} on {leader}", timeout_seconds=90,
    )  # fmt: skip
    cluster.execute(shell, "SELECT pg_drop_replication_slot($1)", slot(instance))


def drop(instance: OdooInstance, node: Place) -> None:
    """End and remove a clone that is not wanted any more."""
    shell, target = node.host.shell(), beside(observe(node).directory)
    if files.exists(shell, target):
        stop_job(shell, _job(instance))
        files.remove_tree(shell, target)


def _job(instance: OdooInstance) -> str:
    return f"{instance.name}-basebackup"


def size(leader: Place) -> int:
    """Tell how many bytes a clone copies."""
    sql = "SELECT sum(pg_database_size(oid)) FROM pg_database"
    return int(leader.cluster.value(leader.host.shell(), sql))


def require_room(node: Place, leader: Place, folder: PurePosixPath, *, freed: int = 0) -> None:
    """Refuse a clone that the disk cannot hold beside what is there; `freed` goes before it."""
    need = size(leader)
    free = files.free_bytes(node.host.shell(), folder) + freed
    if need * 1.2 > free:
        raise Refused(
            f"{node} has {moments.size(free)} free, but a clone of {leader} needs "
            f"{moments.size(need)}",
            hint=f"make room in {folder} on {node}, then run this again",
        )


def wal_is(node: Place) -> str:
    """What pg_wal of a node is: a folder, as a clone of its leader has it, a link or a mount."""
    path = str(observe(node).directory / "pg_wal")
    argv = ("sh", "-c", WAL_IS, "wal-is", path)
    return node.host.shell().run(argv, user=node.cluster.owner).stdout.strip()


def require_wal_movable(node: Place) -> None:
    """Refuse to replace a data directory in which another disk is mounted.

    The mount would go aside with it now, and hide the clone's own WAL from the next boot on.
    """
    if wal_is(node) == "mount":
        raise Refused(
            f"pg_wal on {node} is a mount point, so no clone can take the place of its data "
            "directory",
            hint=f"stop PostgreSQL on {node}, mount that disk elsewhere (correct /etc/fstab), and "
            "make pg_wal a link to a folder on it; then run this again",
        )


def require_no_tablespaces(leader: Place) -> None:
    sql = "SELECT spcname FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')"
    if rows := leader.cluster.query(leader.host.shell(), sql):
        raise Refused(
            f"{leader} keeps data in tablespaces: {', '.join(str(r['spcname']) for r in rows)}",
            hint="move their tables to pg_default; Relevo does not copy tablespaces",
        )


def _require_whole(node: Place, leader: Place, beside: PurePosixPath) -> None:
    """Prove a fresh clone before it takes the old directory's place."""
    shell = node.host.shell()
    control = read_control(shell, node, beside)
    if control is None or control.system_identifier != observe_leader(leader).system_identifier:
        raise CommandFailed(
            f"the clone in {beside} on {node} is not a copy of {leader}",
            hint="run this again; the old data directory has not been touched",
        )
    if node.cluster.version >= 13:  # noqa: PLR2004  # the release that added backup manifests
        argv = (str(node.cluster.bin_dir / "pg_verifybackup"), "--no-parse-wal", "-q", str(beside))
        shell.run(argv, user=node.cluster.owner, timeout_seconds=CLONE_SECONDS)
