"""Rejoin: make a node the standby of the other, by the cheapest safe way."""

import re
from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.host import files
from tasks.host.files import STATE
from tasks.host.job import await_job, is_running, run_job
from tasks.postgres import auto_conf, cluster, commands
from tasks.postgres.controldata import ControlData
from tasks.postgres.look import leader as look_leader
from tasks.postgres.look import look
from tasks.records import record
from tasks.records.records import AutoConf
from tasks.run import progress
from tasks.run.step import log, step
from tasks.standby import clone, forensics, limits, replication
from tasks.standby import way as decision
from tasks.standby.way import Way

REWIND_SECONDS = 6 * 3600
AUTO_CONF = auto_conf.FILE
ASKED = "the operator asked for it"


# pg_rewind must never run twice on a node that was not started in between: the second run does a
# crash recovery that forks the node silently. So the host itself remembers, whoever died.
REWIND = """
set -e
marker=$1
shift
mkdir -p "$(dirname "$marker")"
note() {
    echo "$1" >"$marker.new"
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


def rewind_job(instance: OdooInstance) -> str:
    return f"{instance.name}-rewind"


def marker(instance: OdooInstance, node: Place) -> str:
    """What the node's host remembers of pg_rewind: nothing, "started" or "done"."""
    return files.read(node.host.shell(), marker_path(instance)).strip()


def choose(instance: OdooInstance, node: Place, leader: Place) -> Way:
    """Decide how a stopped node rejoins."""
    seen = look(node)
    if is_running(node.host.shell(), rewind_job(instance)):
        return Way("rewind", "its pg_rewind is under way, and is waited for")
    if seen.control is None:
        return Way("reclone", "its data directory is missing or unreadable")
    # A primary has no signal file, and a standby that was started has no label any more.
    lacking = _lacking(node, seen.directory, "backup_label", "standby.signal")
    control = seen.control.as_primary() if "standby.signal" in lacking else seen.control
    way = decision.way(
        control, look_leader(leader), rewind=marker(instance, node), unstarted=not lacking
    )
    if way.kind == "refuse":
        raise Refused(
            f"{node} cannot follow {leader}: {way.why}",
            hint="if it may be thrown away, run basebackup or failback with reclone: the old "
            "directory is kept beside the new one",
        )
    return way


def _lacking(node: Place, directory: PurePosixPath, *names: str) -> set[str]:
    """Those of some files of a data directory that are not there."""
    paths = (directory / name for name in names)
    return {PurePosixPath(path).name for path in files.missing(node.host.shell(), *paths)}


@step("make {node} the standby of {leader}", retries=0)
def rejoin(
    instance: OdooInstance, node: Place, leader: Place, *, reclone: bool = False, why: str = ASKED
) -> PurePosixPath | None:
    """Follow, rewind or re-clone, whichever is the cheapest safe way; then prove the stream.

    `why` says for what reason nothing but a new clone is meant. Say where the data directory went
    that a clone has replaced, if one has.
    """
    if replication.is_following(instance, node, leader):
        log().info("%s already follows %s", node, leader)
        clear(instance, node, leader)
        return None
    if look(node).is_primary:
        raise Refused(
            f"{node} accepts writes while {leader} does: it must be held first",
            hint="run failback, which stops it and keeps what only it has",
        )
    _prepare(instance, leader)
    aside = None
    if not look(node).is_standby or reclone:
        cluster.stop_any(node)
        aside = _by_a_way(instance, node, leader, meant=why if reclone else "")
    _follow(instance, node, leader)
    return aside


def renew(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Clone a standby anew; until the clone is whole the old one can be promoted."""
    _prepare(instance, leader)
    _replace(instance, node, leader)
    _follow(instance, node, leader)


def _prepare(instance: OdooInstance, leader: Place) -> None:
    replication.ensure_slot(leader.host.shell(), leader, instance.name)
    leader.cluster.execute(leader.host.shell(), "CHECKPOINT", timeout_seconds=600)


def _by_a_way(
    instance: OdooInstance, node: Place, leader: Place, *, meant: str
) -> PurePosixPath | None:
    """Bring a stopped node's data to where following the leader is possible.

    A pg_rewind that its caller has left alone is not dead: it is waited for.
    """
    await_job(node.host.shell(), rewind_job(instance), timeout_seconds=REWIND_SECONDS)
    chosen = Way("reclone", meant) if meant else _chosen(instance, node, leader)
    log().info("%s goes by the way %r: %s", node, chosen.kind, chosen.why)
    if chosen.kind != "reclone":
        clone.drop(instance, node)
    if chosen.kind == "rewind":
        try:
            rewind(instance, node, leader)
        except CommandFailed as error:
            log().warning("pg_rewind cannot do it, so a new clone is made: %s", error.message)
            chosen = Way("reclone", "pg_rewind failed")
    return _replace(instance, node, leader) if chosen.kind == "reclone" else None


def _chosen(instance: OdooInstance, node: Place, leader: Place) -> Way:
    """Choose the way; a primary that crashed is first recovered, with no door open."""
    way, seen = choose(instance, node, leader), look(node)
    if way.kind != "rewind" or seen.control is None or seen.control.shut_down:
        return way
    if not _lacking(node, seen.directory, "standby.signal"):
        return way  # a standby that stopped cleanly, which pg_rewind takes as it is
    _keep(node)
    try:
        recover_offline(node)
    except CommandFailed as error:
        log().warning("%s does not recover, so a new clone is made: %s", node, error.message)
        return Way("reclone", "it crashed, and does not recover")
    return choose(instance, node, leader)


def recover_offline(node: Place) -> None:
    """Let a crashed cluster recover and stop, without serving anybody."""
    shell, seen = node.host.shell(), look(node)
    files.remove(shell, seen.directory / "postmaster.pid")
    argv = commands.recover_offline(node.cluster, seen.directory)
    shell.run(argv, user=node.cluster.owner, timeout_seconds=REWIND_SECONDS)


def rewind(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Take back what only the node wrote. Never twice: the host remembers."""
    shell, seen = node.host.shell(), look(node)
    if remembered := marker(instance, node):
        raise Refused(
            f"pg_rewind was already {remembered} on {node} and it has not been started since; a "
            "second run would fork it silently",
            hint="run failback: it follows after a finished rewind and re-clones after a dead one",
        )
    assert seen.control is not None, "a node without a control file is re-cloned"
    forensics.examine(instance, node, leader, _keep(node), seen.control.last_timeline)
    own = files.read(shell, seen.directory / AUTO_CONF)
    record.write(node, instance, AutoConf(text=own))
    source = replication.rewind_conninfo(instance, node, leader)
    command = commands.rewind(node.cluster, directory=seen.directory, source=source)
    run_job(
        shell, rewind_job(instance),
        ("sh", "-c", REWIND, "rewind", str(marker_path(instance)),
         "runuser", "-u", node.cluster.owner, "--", *command),
        user="root", timeout_seconds=REWIND_SECONDS,
        on_progress=progress.reporter(f"pg_rewind of {node}"),
    )  # fmt: skip


def _keep(node: Place) -> PurePosixPath:
    """Copy the data directory aside before anything in it is taken back; say where to."""
    shell, seen = node.host.shell(), look(node)
    assert seen.control is not None, "a node without a control file is re-cloned"
    target = quarantine(seen.directory, seen.control)
    if files.exists(shell, target):
        return target
    if kept := _kept(node, seen.directory, seen.control):
        return kept
    need = files.used_bytes(shell, seen.directory, user=node.cluster.owner)
    free = files.free_bytes(shell, seen.directory)
    if need * 1.1 > free:
        raise Refused(
            f"{node} has {free >> 20} MB free, and {need >> 20} MB are needed to keep what only "
            "it has before it is rewound",
            hint=f"make room beside {seen.directory} on {node}, then run this again",
        )
    partial, owner = target.with_name(target.name + ".partial"), node.cluster.owner
    if not is_running(shell, f"{node.cluster.name}-quarantine"):
        files.remove_tree(shell, partial)
        files.make_directory(shell, partial, owner=f"{owner}:", mode="700")
    run_job(
        shell, f"{node.cluster.name}-quarantine",
        # What a link names is copied too: a pg_wal on another disk is about to change.
        ("cp", "-aL", "--reflink=auto", f"{seen.directory}/.", str(partial)),
        user=owner, timeout_seconds=clone.CLONE_SECONDS,
    )  # fmt: skip
    files.move(shell, partial, target)
    return target


def quarantine(directory: PurePosixPath, control: ControlData) -> PurePosixPath:
    """The name under which a diverged data directory is kept: by the point where it stood."""
    at = str(control.checkpoint).replace("/", "-")
    return directory.with_name(f"{directory.name}.quarantine-{control.timeline}-{at}")


def _kept(node: Place, directory: PurePosixPath, control: ControlData) -> PurePosixPath | None:
    """Find a copy that was made already, before the crash recovery moved the checkpoint."""
    pattern = f"{directory.name}.quarantine-{control.timeline}-*"
    argv = ("find", str(directory.parent), "-maxdepth", "1", "-name", pattern, "-cmin", "-60")
    ours = re.compile(re.escape(str(directory)) + r"\.quarantine-[A-Za-z0-9_-]+")
    said = node.host.shell().run(argv, user=node.cluster.owner).stdout
    found = said.split("\n")  # of a name with a line feed, no half is ours
    return next((PurePosixPath(path) for path in found if ours.fullmatch(path)), None)


def _replace(instance: OdooInstance, node: Place, leader: Place) -> PurePosixPath:
    """Put a new clone in the place of the data directory, which is kept; say where."""
    fresh = clone.make(instance, node, leader)
    cluster.stop_any(node)
    shell, seen = node.host.shell(), look(node)
    # A standby that asked for what is gone has spoiled its slot once more.
    replication.ensure_slot(leader.host.shell(), leader, instance.name)
    # Before it is where a boot finds it: without these it would come up as a second primary.
    text = _alter_system(instance, node, leader, fresh)
    write_signals(instance, node, leader, fresh, own=text)
    aside = _aside(seen.directory, seen.control)
    kept = _unused(shell, aside)
    files.swap(shell, fresh, seen.directory, kept)
    if seen.control and _went_on(leader, seen.control):
        forensics.examine(instance, node, leader, aside, seen.control.last_timeline)
    record.forget(node, instance, AutoConf)
    files.remove(shell, marker_path(instance))
    return kept


def _alter_system(instance: OdooInstance, node: Place, leader: Place, fresh: PurePosixPath) -> str:
    """What ALTER SYSTEM is to say in a new clone, which has come with its leader's.

    The origin gets back what it had. The recovery host keeps to its leader's, which may have raised
    limits that a standby needs; but not to what names the leader's machine.
    """
    own = _own(instance, node, leader)
    if own and node.kind == "origin":
        return own
    return auto_conf.settle(files.read(node.host.shell(), fresh / AUTO_CONF), own=own)


def _own(instance: OdooInstance, node: Place, leader: Place) -> str:
    """What ALTER SYSTEM had set at a node; nothing if it has been another cluster until now."""
    if kept := record.read(node, instance, AutoConf):
        return kept.text
    seen = look(node)
    if not _same_system(seen.control, leader):
        return ""
    return files.read(node.host.shell(), seen.directory / AUTO_CONF)


def _aside(directory: PurePosixPath, control: ControlData | None) -> PurePosixPath:
    if control is None:
        return directory.with_name(f"{directory.name}.quarantine-broken")
    return quarantine(directory, control)


def _unused(shell: Shell, path: PurePosixPath) -> PurePosixPath:
    """A name that nobody has: what a pg_rewind that failed was to change is kept already."""
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 100)))
    return next(name for name in names if not files.exists(shell, name))


def _went_on(leader: Place, control: ControlData) -> bool:
    """Tell whether this was a primary of the same system, which may have gone on after the fork.

    What one wrote that was set back to an older state lies before the fork: no WAL tells it from
    what both have.
    """
    if control.was_standby or not _same_system(control, leader):
        return False
    fork = look_leader(leader).forks.get(control.timeline)
    return not (control.shut_down and fork is not None and control.checkpoint < fork)


def _same_system(control: ControlData | None, leader: Place) -> bool:
    if control is None:
        return False
    return control.system_identifier == look_leader(leader).system_identifier


def _follow(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Write the signal file and the connection after the rewind and before the start."""
    seen = look(node)
    if not seen.answers:
        kept = record.read(node, instance, AutoConf)
        own = kept.text if kept else None
        write_signals(instance, node, leader, seen.directory, own=own)
        limits.fit(node, seen.directory, limits.needed(seen, leader))
    cluster.start(node)
    replication.wait_until_streaming(instance, node, leader)
    clear(instance, node, leader)


def write_signals(
    instance: OdooInstance,
    node: Place,
    leader: Place,
    directory: PurePosixPath,
    *,
    own: str | None = None,
) -> None:
    """Let what starts from this directory follow; `own` is what ALTER SYSTEM shall have set."""
    shell, path = node.host.shell(), directory / AUTO_CONF
    conninfo = replication.stream_conninfo(instance, node, leader)
    waits = node.kind == "origin"
    text = files.read(shell, path) if own is None else own
    text = auto_conf.follow(text, conninfo=conninfo, slot=instance.name, waits=waits)
    owner = {"owner": files.owner(shell, node.cluster.owner), "mode": "600"}
    files.install(shell, path, text, **owner)
    files.install(shell, directory / "standby.signal", "", **owner)


def clear(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Take away what was kept for a rejoin that has now ended, be it that of a run that died."""
    files.remove(node.host.shell(), marker_path(instance))
    record.forget(node, instance, AutoConf)
    clone.abandon(instance, node, leader)
