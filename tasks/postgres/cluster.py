"""Clusters: created, started, stopped, promoted."""

from pathlib import PurePosixPath

from blocks.cluster import Cluster
from blocks.errors import CommandFailed, Refused, StatementFailed, Unreachable
from blocks.instance import Place
from blocks.shell import Shell
from tasks.host import files
from tasks.postgres import commands
from tasks.postgres.observe import ClusterState, find, observe, observe_if_reachable
from tasks.run.step import log, step
from tasks.run.wait import until

START_SECONDS = 120
STOP_SECONDS = 600
PROMOTE_SECONDS = 120
# Debian's generator names here what systemd starts and stops with all clusters.
WITH_THE_OTHERS = PurePosixPath("/run/systemd/generator/postgresql.service.wants")


@step("create cluster {place.cluster} on {place}")
def create(place: Place) -> None:
    """Make an empty cluster of Debian's layout; one that is there is left alone."""
    shell, cluster = place.host.shell(), place.cluster
    require_binaries(shell, place)
    listed = find(shell, place)
    if listed is None:
        shell.run(commands.create_cluster(cluster))
        shell.run(("systemctl", "daemon-reload"))
    if listed is None or listed.owner == cluster.owner:
        observe(place)


def require_binaries(shell: Shell, place: Place) -> None:
    if not files.exists(shell, place.cluster.bin_dir / "postgres"):
        version = place.cluster.version
        raise Refused(
            f"PostgreSQL {version} is not installed on {place}",
            hint=f"run apt install postgresql-{version} there (from PostgreSQL's own repository if "
            "the distribution has another version)",
        )


def restart(place: Place) -> ClusterState:
    """Stop a cluster that runs and start it again; wait until it answers SQL."""
    unit = place.cluster.unit
    place.host.shell().run(("systemctl", "restart", unit), timeout_seconds=STOP_SECONDS)
    return wait_until_answering(place)


def wait_until_answering(place: Place) -> ClusterState:
    """Wait until a cluster answers SQL, whatever its role."""

    def answering() -> ClusterState | None:
        state = observe(place)
        state.require_asked()
        return state if state.answers else None

    try:
        return until(
            answering,
            what=f"PostgreSQL {place.cluster} on {place} answers",
            timeout_seconds=START_SECONDS,
        )
    except CommandFailed as error:
        raise CommandFailed(f"{error.message}\n{_last_words(place)}", hint=_log(place)) from error


def _log(place: Place) -> str:
    version, name = place.cluster.version, place.cluster.name
    return f"read /var/log/postgresql/postgresql-{version}-{name}.log on {place}"


def _last_words(place: Place) -> str:
    version, name = place.cluster.version, place.cluster.name
    path = f"/var/log/postgresql/postgresql-{version}-{name}.log"
    argv = ("tail", "-n", "10", path)
    return place.host.shell().run(argv, user=place.cluster.owner, check=False).stdout


def start(place: Place) -> ClusterState:
    """Start a cluster and wait until it answers SQL; systemd's exit code proves nothing here."""
    shell = place.host.shell()
    if not observe(place).online:
        shell.run(("systemctl", "reset-failed", place.cluster.unit), check=False)
        argv = ("systemctl", "start", place.cluster.unit)
        done = shell.run(argv, check=False, timeout_seconds=START_SECONDS)
        if done.status and not observe(place).online:
            said = f"{done.tail}\n{_last_words(place)}"
            raise CommandFailed(
                f"PostgreSQL {place.cluster} on {place} did not start: {said}", hint=_log(place)
            )
    return wait_until_answering(place)


def stop(place: Place) -> ClusterState:
    """Stop a cluster cleanly, and prove by its control file that it did.

    The origin's guard may stop it at the same moment: pg_ctl then finds nothing to do and
    complains. What counts is what is found afterwards.
    """
    said = ""
    if (state := observe(place)).online:
        said = _stop(place, state.directory)
        state = observe(place)
    if state.online or state.control is None:
        raise CommandFailed(
            f"PostgreSQL {place.cluster} on {place} did not stop{said}", hint=_log(place)
        )
    return state


def _stop(place: Place, directory: PurePosixPath) -> str:
    patience = ("-m", "fast", "-t", str(STOP_SECONDS))
    argv = commands.control(place.cluster, directory, "stop", *patience)
    shell, owner = place.host.shell(), place.cluster.owner
    try:
        done = shell.run(argv, user=owner, check=False, timeout_seconds=STOP_SECONDS)
    except Unreachable as error:
        if not (state := observe_if_reachable(place)) or state.answers or not state.online:
            raise
        raise CommandFailed(
            f"PostgreSQL {place.cluster} on {place} is still shutting down after {STOP_SECONDS} s: "
            "it waits until every standby, every backup and the archiver have all WAL",
            hint=f"run ps -u postgres on {place}, end the walsender that hangs, and start this "
            "again when the cluster is down; nothing is lost",
        ) from error
    return f": {done.tail}" if done.status else ""


def stop_any(place: Place) -> None:
    """Stop a cluster, or leave it as a crash left it; prove only that it is down."""
    if observe(place).online:
        stop(place)


def stop_starting(place: Place) -> None:
    """Stop a cluster that a boot may be starting just now, and prove that it is down.

    systemd gives the start up and is not waited for: it can hang. Without this the boot's start
    would come after the stop, on files that are being replaced.
    """
    argv = ("systemctl", "stop", "--no-block", place.cluster.unit)
    place.host.shell().run(argv, check=False)
    stop_any(place)


def start_at_boot(place: Place, how: str) -> None:
    """Choose whether Debian starts this cluster at boot: auto or manual.

    A boot reads the file anew. Until then systemd would still start a cluster with the others, so
    it is told at once of one that must stay down; of the other kind it need not hear in a hurry.
    """
    path = place.cluster.config_dir / "start.conf"
    shell = place.host.shell()
    files.install(shell, path, f"{how}\n", owner=config_owner(shell, place.cluster))
    if how == "manual" and files.exists(shell, WITH_THE_OTHERS / place.cluster.unit):
        shell.run(("systemctl", "daemon-reload"))


def config_owner(shell: Shell, cluster: Cluster, *, group: bool = False) -> str:
    """Who owns a cluster's configuration: its own user as Debian has it, or root where confined.

    `group` is for files that the cluster's user must read and nobody else may.
    """
    if not cluster.confined:
        return f"{cluster.owner}:"
    return f"root:{files.owner(shell, cluster.owner).split(':')[1]}" if group else "root:root"


def accepts_writes(place: Place) -> bool:
    """Tell, by SQL, whether a cluster that answers accepts writes."""
    sql = "SELECT NOT pg_is_in_recovery()"
    return place.cluster.value(place.host.shell(), sql) == "t"


@step("promote {place}", retries=0)
def promote(place: Place) -> None:
    """Let the standby accept writes; a cluster that already does is left alone.

    Whether it does is asked by SQL: the exit code has been wrong both ways.
    """
    if (state := observe(place)).is_primary:
        log().info("%s already accepts writes", place)
        return
    if not promoted_by_session(place):
        _promote_by_program(place, state.directory)
    until(
        lambda: accepts_writes(place),
        what=f"{place} accepts writes",
        timeout_seconds=PROMOTE_SECONDS,
        hint=f"{_log(place)}; a walreceiver that hangs can delay a promotion",
        every=0.02,
    )


def promoted_by_session(place: Place) -> bool:
    """Begin a promotion over the session that is open anyway; tell whether PostgreSQL does."""
    try:
        return place.cluster.execute(place.host.shell(), "SELECT pg_promote(false)") == "t"
    except StatementFailed as error:
        log().warning("%s is promoted by pg_ctl: %s", place, error.message)
        return False


def _promote_by_program(place: Place, directory: PurePosixPath) -> None:
    promoted = place.host.shell().run(
        commands.control(place.cluster, directory, "promote"),
        user=place.cluster.owner,
        check=False,
        timeout_seconds=PROMOTE_SECONDS,
    )
    if promoted.status != 0:
        log().warning("promoting %s ended with %d: %s", place, promoted.status, promoted.tail)


@step("checkpoint {place}")
def checkpoint(place: Place) -> None:
    """Write the new timeline into the control file, which a later pg_rewind reads."""
    checkpoint_now(place)


def checkpoint_now(place: Place) -> None:
    place.cluster.execute(place.host.shell(), "CHECKPOINT", timeout_seconds=600)


@step("let {place} lead after a boot")
def lead_at_boot(place: Place) -> None:
    """Start this primary at boot: it has the write right."""
    start_at_boot(place, "auto")


@step("let {place} follow after a boot")
def follow_at_boot(place: Place) -> None:
    """Start this standby at boot: it has a leader to follow."""
    start_at_boot(place, "auto")
