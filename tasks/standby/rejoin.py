"""Rejoin: make a node the standby of the other, by the cheapest safe way."""

from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.host import files
from tasks.host.job import await_job, is_running
from tasks.logins import certificate, login
from tasks.postgres import auto_conf, cluster
from tasks.postgres.controldata import ControlData
from tasks.postgres.observe import observe, observe_leader
from tasks.records import records
from tasks.records.kinds import AutoConf
from tasks.run.step import log, step
from tasks.standby import clone, diverged, limits, replication, rewind
from tasks.standby import way as decision
from tasks.standby.way import Way

ASKED = "the operator asked for it"


def choose(instance: OdooInstance, node: Place, leader: Place) -> Way:
    """Decide how a stopped node rejoins."""
    state = observe(node)
    if is_running(node.host.shell(), rewind.job(instance)):
        return Way("rewind", "its pg_rewind is under way, and is waited for")
    if state.control is None:
        return Way("reclone", "its data directory is missing or unreadable")
    # A primary has no signal file, and a standby that was started has no label any more.
    lacking = _lacking(node, state.directory, "backup_label", "standby.signal")
    control = state.control.as_primary() if "standby.signal" in lacking else state.control
    way = decision.way(
        control, observe_leader(leader), rewind=rewind.marker(instance, node), unstarted=not lacking
    )
    if way.kind == "refuse":
        raise Refused(
            f"{node} cannot follow {leader}: {way.why}",
            hint="run basebackup or failback with reclone if its data is not needed: the old "
            "directory is kept beside the new one",
        )
    return way


def require_room(instance: OdooInstance, node: Place, leader: Place, way: Way) -> None:
    """Refuse a way for which the disk has no room, before anything is stopped for it."""
    shell, state = node.host.shell(), observe(node)
    if way.kind == "reclone":
        clone.require_wal_movable(node)
        clone.require_room(node, leader, state.directory.parent)
    elif way.kind == "rewind" and state.control and not is_running(shell, rewind.job(instance)):
        rewind.require_room(node, state.directory, state.control)


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
    if observe(node).is_primary:
        raise Refused(
            f"{node} accepts writes while {leader} does: it must be fenced first",
            hint="run failback, which stops it and keeps what only it has",
        )
    _prepare(instance, node, leader)
    aside = None
    if not observe(node).is_standby or reclone:
        cluster.stop_starting(node)
        aside = _by_a_way(instance, node, leader, meant=why if reclone else "")
    _follow(instance, node, leader)
    return aside


def renew(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Clone a standby anew; until the clone is whole the old one can be promoted."""
    _prepare(instance, node, leader)
    _replace(instance, node, leader)
    _follow(instance, node, leader)


def _prepare(instance: OdooInstance, node: Place, leader: Place) -> None:
    certificate.pin(instance, node, leader)  # it may have been renewed since the set-up
    replication.ensure_slot(leader.host.shell(), leader, instance.name)
    leader.cluster.execute(leader.host.shell(), "CHECKPOINT", timeout_seconds=600)


def _by_a_way(
    instance: OdooInstance, node: Place, leader: Place, *, meant: str
) -> PurePosixPath | None:
    """Bring a stopped node's data to where following the leader is possible.

    A pg_rewind that its caller has left alone is not dead: it is waited for.
    """
    await_job(node.host.shell(), rewind.job(instance), timeout_seconds=rewind.REWIND_SECONDS)
    chosen = Way("reclone", meant) if meant else _chosen(instance, node, leader)
    log().info("%s rejoins by the way %r: %s", node, chosen.kind, chosen.why)
    if chosen.kind != "reclone":
        clone.drop(instance, node)
    if chosen.kind == "rewind":
        try:
            rewind.rewind(instance, node, leader)
        except CommandFailed as error:
            log().warning("pg_rewind cannot do it, so a new clone is made: %s", error.message)
            chosen = Way("reclone", "pg_rewind failed")
    return _replace(instance, node, leader) if chosen.kind == "reclone" else None


def _chosen(instance: OdooInstance, node: Place, leader: Place) -> Way:
    """Choose the way; a primary that crashed is first recovered, with no door open."""
    way, state = choose(instance, node, leader), observe(node)
    if way.kind != "rewind" or state.control is None or state.control.shut_down:
        return way
    if not _lacking(node, state.directory, "standby.signal"):
        return way  # a standby that stopped cleanly, which pg_rewind takes as it is
    rewind.keep(instance, node)
    try:
        rewind.recover_offline(node)
    except CommandFailed as error:
        log().warning("%s does not recover, so a new clone is made: %s", node, error.message)
        return Way("reclone", "it crashed, and does not recover")
    return choose(instance, node, leader)


def _replace(instance: OdooInstance, node: Place, leader: Place) -> PurePosixPath:
    """Put a new clone in the place of the data directory, which is kept; say where."""
    fresh = clone.make(instance, node, leader)
    cluster.stop_starting(node)
    shell, state = node.host.shell(), observe(node)
    # A standby that asked for what is gone has spoiled its slot once more.
    replication.ensure_slot(leader.host.shell(), leader, instance.name)
    # Before it is where a boot finds it: without these it would come up as a second primary.
    text = _alter_system(instance, node, leader, fresh)
    write_signals(instance, node, leader, fresh, own=text)
    aside = _aside(state.directory, state.control)
    kept = _unused(shell, aside)
    files.swap(shell, fresh, state.directory, kept)
    if state.control and _went_on(leader, state.control):
        diverged.examine(instance, node, leader, aside, state.control.last_timeline)
    records.forget(node, instance, AutoConf)
    files.remove(shell, rewind.marker_path(instance))
    return kept


def _alter_system(instance: OdooInstance, node: Place, leader: Place, fresh: PurePosixPath) -> str:
    """What ALTER SYSTEM is to say in a new clone, which has come with its leader's.

    The origin gets back what it had. The recovery host keeps to its leader's, which may have raised
    limits that a standby needs; but not to what names the leader's machine.
    """
    own = _own(instance, node, leader)
    if own and node.kind == "origin":
        return own
    settled = auto_conf.merged(files.read(node.host.shell(), fresh / auto_conf.FILE), own=own)
    text, dropped = auto_conf.fitting(settled, _memory(node))
    if dropped:
        log().warning(
            "%s has too little memory for the shared_buffers of %s (%s): set them there in a file "
            "of conf.d", node, leader, dropped,
        )  # fmt: skip
    return text


def _memory(node: Place) -> int:
    argv = ("grep", "^MemTotal:", "/proc/meminfo")
    output = node.host.shell().run(argv, user=node.cluster.owner).stdout
    with understood(f"the memory of {node}"):
        return int(output.split()[1]) << 10


def _own(instance: OdooInstance, node: Place, leader: Place) -> str:
    """What ALTER SYSTEM had set at a node; nothing if it has been another cluster until now."""
    if kept := records.read(node, instance, AutoConf):
        return kept.text
    state = observe(node)
    if not _same_system(state.control, leader):
        return ""
    return files.read(node.host.shell(), state.directory / auto_conf.FILE)


def _aside(directory: PurePosixPath, control: ControlData | None) -> PurePosixPath:
    if control is None:
        return directory.with_name(f"{directory.name}.quarantine-broken")
    return rewind.quarantine(directory, control)


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
    fork = observe_leader(leader).forks.get(control.timeline)
    return not (control.shut_down and fork is not None and control.checkpoint < fork)


def _same_system(control: ControlData | None, leader: Place) -> bool:
    if control is None:
        return False
    return control.system_identifier == observe_leader(leader).system_identifier


def _follow(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Write the signal file and the connection after the rewind and before the start."""
    state = observe(node)
    if not state.answers:
        kept = records.read(node, instance, AutoConf)
        own = kept.text if kept else None
        write_signals(instance, node, leader, state.directory, own=own)
        limits.fit(node, state.directory, limits.needed(state, leader))
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
    shell, path = node.host.shell(), directory / auto_conf.FILE
    conninfo = login.stream_conninfo(instance, node, leader)
    waits = node.kind == "origin"
    text = files.read(shell, path) if own is None else own
    text = auto_conf.follow(text, conninfo=conninfo, slot=instance.name, waits=waits)
    owner = {"owner": files.owner(shell, node.cluster.owner), "mode": "600"}
    files.install(shell, path, text, **owner)
    files.install(shell, directory / "standby.signal", "", **owner)


def clear(instance: OdooInstance, node: Place, leader: Place) -> None:
    """Take away what was kept for a rejoin that has now ended, be it that of a run that died."""
    files.remove(node.host.shell(), rewind.marker_path(instance))
    records.forget(node, instance, AutoConf)
    clone.abandon(instance, node, leader)
