"""pg_rewind: once and never twice, and only after what the node has was kept aside."""

import re
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import durable, files
from tasks.host.files import STATE
from tasks.host.job import is_running, run_job
from tasks.logins import login
from tasks.notices import progress
from tasks.postgres import auto_conf, commands
from tasks.postgres.controldata import ControlData
from tasks.postgres.observe import observe
from tasks.records import records
from tasks.records.kinds import AutoConf
from tasks.run import moments
from tasks.standby import clone, diverged

REWIND_SECONDS = 6 * 3600
# pg_rewind must never run twice on a node that was not started in between: the second run does a
# crash recovery that forks the node silently. So the host itself remembers, whoever died.
REWIND = """
set -e
marker=$1 kept=$2
shift 2
mkdir -p "$(dirname "$marker")"
note() {
    printf '%s\\n' "$1" "$kept" >"$marker.new"
    sync "$marker.new"
    mv "$marker.new" "$marker"
    sync "$(dirname "$marker")"
}
note started
"$@"
note done
"""


def marker_path(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "rewind"


def job(instance: OdooInstance) -> str:
    return f"{instance.name}-rewind"


def marker(instance: OdooInstance, node: Place) -> str:
    """What the node's host remembers of pg_rewind: nothing, "started" or "done".

    The second line says where the copy is that was kept; the page by hand reads it.
    """
    return files.read(node.host.shell(), marker_path(instance)).partition("\n")[0]


def recover_offline(node: Place) -> None:
    """Let a crashed cluster recover and stop, without serving anybody."""
    shell, state = node.host.shell(), observe(node)
    files.remove(shell, state.directory / "postmaster.pid")
    argv = commands.recover_offline(node.cluster, state.directory)
    shell.run(argv, user=node.cluster.owner, timeout_seconds=REWIND_SECONDS)


def rewind(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Take back what only the node wrote. Never twice: the host remembers."""
    shell, state = node.host.shell(), observe(node)
    if remembered := marker(instance, node):
        raise Refused(
            f"pg_rewind was already {remembered} on {node} and it has not been started since; a "
            "second run would fork it silently",
            hint="run failback: it follows after a finished rewind and re-clones after a dead one",
        )
    assert state.control is not None, "a node without a control file is re-cloned"
    kept = keep(instance, node)
    diverged.examine(instance, node, leader, kept, state.control.last_timeline)
    own = files.read(shell, state.directory / auto_conf.FILE)
    records.write(node, instance, AutoConf(text=own))
    source = login.rewind_conninfo(instance, node, leader)
    command = commands.rewind(node.cluster, directory=state.directory, source=source)
    run_job(
        shell, job(instance),
        ("sh", "-c", REWIND, "rewind", str(marker_path(instance)), str(kept),
         "runuser", "-u", node.cluster.owner, "--", *command),
        user="root", timeout_seconds=REWIND_SECONDS,
        on_progress=progress.reporter(f"pg_rewind of {node}"),
    )  # fmt: skip


def keep(instance: OdooInstance, node: Place) -> PurePosixPath:
    """Copy the data directory aside before anything in it is taken back; say where to."""
    name = (
        f"{instance.name}-quarantine"  # clusters of one server may have one name, of two releases
    )
    shell, state = node.host.shell(), observe(node)
    assert state.control is not None, "a node without a control file is re-cloned"
    target = quarantine(state.directory, state.control)
    if kept := require_room(node, state.directory, state.control):
        return kept
    partial, owner = target.with_name(target.name + ".partial"), node.cluster.owner
    if not is_running(shell, name):
        files.remove_tree(shell, partial)
        files.make_directory(shell, partial, owner=f"{owner}:", mode="700")
    run_job(
        shell, name,
        # What a link names is copied too: a pg_wal on another disk is about to change.
        ("cp", "-aL", "--reflink=auto", f"{state.directory}/.", str(partial)),
        user=owner, timeout_seconds=clone.CLONE_SECONDS,
    )  # fmt: skip
    durable.copied(shell, partial, user=owner)  # what pg_rewind takes back is nowhere else
    files.move(shell, partial, target)
    return target


def require_room(
    node: Place, directory: PurePosixPath, control: ControlData
) -> PurePosixPath | None:
    """Refuse a copy for which there is no room; say where one is that was made already."""
    shell, target = node.host.shell(), quarantine(directory, control)
    if files.exists(shell, target):
        return target
    if kept := _kept(node, directory, control):
        return kept
    need = files.used_bytes(shell, directory, user=node.cluster.owner)
    free = files.free_bytes(shell, directory)
    if need * 1.1 > free:
        raise Refused(
            f"{node} has {moments.size(free)} free, but {moments.size(need)} are needed to keep "
            "what only it has before it is rewound",
            hint=f"make room beside {directory} on {node}, then run this again",
        )
    return None


def quarantine(directory: PurePosixPath, control: ControlData) -> PurePosixPath:
    """The name under which a diverged data directory is kept: by the point where it stood."""
    at = str(control.checkpoint).replace("/", "-")
    return directory.with_name(f"{directory.name}.quarantine-{control.timeline}-{at}")


def _kept(node: Place, directory: PurePosixPath, control: ControlData) -> PurePosixPath | None:
    """Find a copy that was made already, before the crash recovery moved the checkpoint.

    One that was made before the server was started again lacks what it has written since.
    """
    pattern = f"{directory.name}.quarantine-{control.timeline}-*"
    argv = (
        "find", str(directory.parent), "-maxdepth", "1", "-name", pattern, "-cmin", "-60",
        "-cnewer", str(directory / "postmaster.opts"),
    )  # fmt: skip
    ours = re.compile(re.escape(str(directory)) + r"\.quarantine-[A-Za-z0-9_-]+")
    done = node.host.shell().run(argv, user=node.cluster.owner, check=False)
    if done.status != 0:  # nobody knows when it was started
        return None
    found = done.stdout.split("\n")  # of a name with a line feed, no half is ours
    return next((PurePosixPath(path) for path in found if ours.fullmatch(path)), None)
