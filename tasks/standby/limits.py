"""Limits that a standby needs: those of the server that wrote its WAL.

With lower ones a standby of release 13 stops, and a later one pauses its replay: it is not promoted
then, and it stops as soon as somebody resumes it (PostgreSQL manual, "Hot Standby", Administrator's
Overview). What its WAL asks for stands in its own pg_control, so the other side is asked nothing.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.postgres import auto_conf, cluster, cluster_settings, postgresql_conf
from tasks.postgres.observe import ClusterState, observe
from tasks.postgres.postgresql_conf import HOT_STANDBY
from tasks.run.step import log, step

# Arguments: the server's program, where its configuration is, and names of settings. Says with what
# it would be started.
CONFIGURED = 'p=$1 d=$2; shift 2; for n in "$@"; do "$p" -C "$n" -D "$d" || exit; done'
HINT = (
    "run replicate, which raises them and restarts the standby; where the other server is dead, "
    "run failover with origin_is_down and a reason, which raises them too"
)


def in_force(state: ClusterState) -> dict[str, int]:
    """The limits of a cluster: in force where it answers, else those that it would start with."""
    if not state.answers:
        return configured(state.place)
    said = cluster_settings.in_force(state.place, HOT_STANDBY)
    return {name: int(value) for name, value in said.items()}


def configured(place: Place) -> dict[str, int]:
    """The limits with which a cluster would be started."""
    server = str(place.cluster.bin_dir / "postgres")
    words = (server, str(place.cluster.config_dir), *HOT_STANDBY)
    argv = ("sh", "-c", CONFIGURED, "configured", *words)
    fields = place.host.shell().run(argv, user=place.cluster.owner).stdout.split()
    with understood(f"the limits of PostgreSQL {place.cluster} on {place}"):
        return dict(zip(HOT_STANDBY, map(int, fields), strict=True))


def is_paused(standby: Place) -> bool:
    """Tell whether a standby that answers replays nothing, whoever or whatever has paused it."""
    sql = "SELECT pg_is_wal_replay_paused()"
    return standby.cluster.value(standby.host.shell(), sql) == "t"


def lower(state: ClusterState) -> dict[str, tuple[int, int]]:
    """The limits that keep a cluster from going on with its WAL: what each is, and must be."""
    if state.control is None or state.is_primary or not state.control.was_standby:
        return {}
    if state.answers and not is_paused(state.place):
        return {}
    return postgresql_conf.lower(in_force(state), state.control.limits)


def needed(node: ClusterState, leader: Place) -> dict[str, int]:
    """The limits with which a node can follow: its leader's, and those of its own WAL."""
    theirs = cluster_settings.in_force(leader, HOT_STANDBY)
    mine = node.control.limits if node.control else {}
    return {name: max(int(value), mine.get(name, 0)) for name, value in theirs.items()}


def why(state: ClusterState) -> str:
    """Say which limits keep a standby down, or its replay paused; nothing where none does."""
    found = lower(state)
    if not found:
        return ""
    each = ", ".join(f"{name} is {has} there and must be {needs}" for name, (has, needs)
                     in found.items())  # fmt: skip
    return (
        f"PostgreSQL {state.place.cluster} on {state.place} cannot replay the WAL of the other "
        f"server: {each}; run replicate, which raises these settings"
    )


@step("give {instance.recovery} the limits that its WAL requires")
def raise_standby(instance: OdooInstance) -> None:
    """Start a standby that its limits keep down or paused, with those of its own pg_control.

    Nobody else has to be asked: the server that wrote the WAL may be dead.
    """
    recovery = instance.recovery
    state = observe(recovery)
    if (sentence := why(state)) and state.control:
        log().warning("%s; they are raised", sentence)
        fit(recovery, state.directory, state.control.limits)
        restart(recovery)


def fit(place: Place, directory: PurePosixPath, needs: Mapping[str, int]) -> None:
    """Write limits that are no lower than these where the cluster will read them at its start."""
    shell, path = place.host.shell(), cluster_settings.path(place.cluster)
    if not postgresql_conf.lower(configured(place), needs):
        return
    text = postgresql_conf.raised(files.read(shell, path), needs)
    cluster_settings.install_text(shell, place.cluster, text)
    if beaten := postgresql_conf.lower(configured(place), needs):
        files.edit(
            shell, directory / auto_conf.FILE, lambda own: auto_conf.without(own, beaten),
            owner=files.owner(shell, place.cluster.owner), mode="600",
        )  # fmt: skip
    if beaten := postgresql_conf.lower(configured(place), needs):
        raise Refused(
            f"on {place}, a file that is read after {path} sets {', '.join(beaten)} lower than "
            "the other server's WAL requires",
            hint=f"remove these lines from the other files in {path.parent}, then run this again",
        )


def restart(place: Place) -> None:
    """Start a cluster anew, or for the first time since it stopped."""
    if observe(place).online:
        cluster.restart(place)
    else:
        cluster.start(place)
