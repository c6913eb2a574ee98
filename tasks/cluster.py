"""Clusters: created, configured, started, stopped, promoted."""

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from blocks.cluster import Cluster
from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks import files
from tasks.argv import postgres
from tasks.look import Seen, find, look, try_look
from tasks.policy import log, step
from tasks.text import block, pg_hba, postgresql_conf
from tasks.text.postgresql_conf import Settings
from tasks.wait import until

START_SECONDS = 120
STOP_SECONDS = 600
PROMOTE_SECONDS = 120
# Debian's generator names here what systemd starts and stops with all clusters.
WITH_THE_OTHERS = PurePosixPath("/run/systemd/generator/postgresql.service.wants")


UNREAD = """
SELECT bool_or(change + interval '1 second' > pg_conf_load_time())
    OR EXISTS (SELECT FROM pg_settings WHERE name = ANY($2::text[]) AND NOT pending_restart
        AND coalesce(sourcefile, '') <> ALL($1::text[]))
FROM unnest($1::text[]) AS path, pg_stat_file(path)
"""


def settings(place: Place, names: tuple[str, ...]) -> dict[str, str]:
    """Ask a running cluster for the settings in force."""
    sql = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"
    rows = place.cluster.query(place.host.shell(), sql, list(names))
    return {str(row["name"]): str(row["setting"]) for row in rows}


def wanted_settings(
    instance: OdooInstance, place: Place, current: dict[str, str], *, shared: bool = False
) -> Settings:
    """The settings with which this place can lead, follow and be rewound."""
    return postgresql_conf.replication(
        version=place.cluster.version,
        keep_mb=instance.replication.wal_keep_mb,
        cap_mb=instance.replication.slot_cap_mb,
        current=current,
        listen=place.host.peer_address,
        shared=shared,
    )


CURRENT = (
    "wal_level", "listen_addresses", "max_wal_senders", "max_replication_slots",
    "wal_keep_size", "wal_keep_segments", "max_slot_wal_keep_size",
)  # fmt: skip


@step("configure PostgreSQL of {place}")
def configure(instance: OdooInstance, place: Place, *, allow_restart: bool) -> None:
    """Let the running cluster lead, follow and be rewound; restart it only if it has to be."""
    shell = place.host.shell()
    shared = _slots_of_others(instance, place)
    current = settings(place, (*postgresql_conf.HOT_STANDBY, *CURRENT))
    wanted = wanted_settings(instance, place, current, shared=bool(shared))
    if shared:
        log().warning(
            "PostgreSQL on %s has slots of others (%s), so max_slot_wal_keep_size is not lowered "
            "for them: see that the disk holds what piles up while a reader is away",
            place, ", ".join(shared),
        )  # fmt: skip
    # Limits that were raised here for a rejoin stay: the other side's WAL may ask for them.
    kept = postgresql_conf.kept_limits(files.read(shell, settings_path(place.cluster)))
    kept = {name: value for name, value in kept.items() if value >= int(current[name])}
    install_settings(shell, place.cluster, {**kept, **wanted})
    load(shell, place, settings_path(place.cluster), settings=wanted)
    _require_in_force(shell, place, wanted)
    _restart_if_needed(place, wanted, allow_restart=allow_restart)
    require_ssl(place)


def _slots_of_others(instance: OdooInstance, place: Place) -> list[str]:
    """Slots that somebody else reads from; temporary ones come and go with a session."""
    sql = (
        "SELECT slot_name FROM pg_replication_slots WHERE NOT temporary "
        "AND slot_name <> ALL($1::text[]) ORDER BY slot_name"
    )
    ours = [instance.name, f"{instance.name}_clone"]
    return [str(row["slot_name"]) for row in place.cluster.query(place.host.shell(), sql, ours)]


def _restart_if_needed(place: Place, wanted: Settings, *, allow_restart: bool) -> None:
    """Restart for our own settings; what somebody else has prepared waits for somebody else."""
    waiting = waiting_for_restart(place)
    ours = [name for name in waiting if name in wanted]
    theirs = [name for name in waiting if name not in wanted]
    if theirs and not ours:
        said = ", ".join(theirs)
        log().info("%s of PostgreSQL on %s waits for a restart, not for Relevo's", said, place)
    if not ours:
        return
    if theirs:
        raise refuse_restart(place, ours, theirs)
    needed = f"PostgreSQL on {place} must be restarted for {', '.join(ours)}"
    if not allow_restart:
        raise Refused(
            needed,
            hint="run this again with allow_restart, at a time when a short outage does no harm",
        )
    log().info("restarting PostgreSQL on %s for %s", place, ", ".join(ours))
    restart(place)


def refuse_restart(place: Place, ours: list[str], theirs: list[str]) -> Refused:
    return Refused(
        f"PostgreSQL on {place} must be restarted for {', '.join(ours)}, and that would bring in "
        f"{', '.join(theirs)} as well, which somebody else has changed",
        hint="restart PostgreSQL there yourself when that is wanted, then run this again",
    )


def restart(place: Place) -> Seen:
    """Stop a cluster that runs and start it again; wait until it answers SQL."""
    unit = place.cluster.unit
    place.host.shell().run(("systemctl", "restart", unit), timeout_seconds=STOP_SECONDS)
    return wait_until_answering(place)


def settings_path(cluster: Cluster) -> PurePosixPath:
    return cluster.config_dir / "conf.d" / "relevo.conf"


def install_settings(shell: Shell, cluster: Cluster, wanted: Settings) -> None:
    install_text(shell, cluster, postgresql_conf.render(wanted))


def install_text(shell: Shell, cluster: Cluster, text: str) -> None:
    owner = _config_owner(shell, cluster)
    files.install(shell, settings_path(cluster), text, owner=owner, mode="644")


def _config_owner(shell: Shell, cluster: Cluster, *, group: bool = False) -> str:
    """Who owns a cluster's configuration: its own user as Debian has it, or root where confined.

    `group` is for files that the cluster's user must read and nobody else may.
    """
    if not cluster.confined:
        return f"{cluster.owner}:"
    return f"root:{files.owner(shell, cluster.owner).split(':')[1]}" if group else "root:root"


def _require_in_force(shell: Shell, place: Place, needed: Settings) -> None:
    """Refuse when our file is not read, or when a later line overrides what is needed of it."""
    path = settings_path(place.cluster)
    sql = "SELECT name, applied, error FROM pg_file_settings WHERE sourcefile = $1"
    rows = place.cluster.query(shell, sql, str(path))
    if not rows:
        raise Refused(
            f"PostgreSQL on {place} does not read {path}",
            hint="put the line include_dir = 'conf.d' into its postgresql.conf",
        )
    beaten = [str(row["name"]) for row in rows if not row["applied"] and row["error"] is None]
    if beaten := [name for name in beaten if name in needed]:
        raise Refused(
            f"on {place}, another file overrides what replication needs: {', '.join(beaten)}",
            hint="take these settings out with ALTER SYSTEM RESET, or out of the file that "
            "pg_file_settings names",
        )


def require_included(place: Place) -> None:
    """Refuse a cluster, running or not, whose postgresql.conf does not read conf.d."""
    path = place.cluster.config_dir / "postgresql.conf"
    reads = ("grep", "-Eq", r"^\s*include(_dir|_if_exists)?\b.*conf\.d", str(path))
    if place.host.shell().run(reads, user=place.cluster.owner, check=False).status != 0:
        raise Refused(
            f"PostgreSQL {place.cluster} on {place} does not read its conf.d",
            hint=f"put the line include_dir = 'conf.d' into {path}, and add_include_dir = "
            "'conf.d' into /etc/postgresql-common/createcluster.conf for the clusters to come",
        )


def load(shell: Shell, place: Place, *paths: PurePosixPath, settings: Iterable[str] = ()) -> None:
    """Let PostgreSQL read some of its files, unless it has since they were put there.

    Asked of PostgreSQL itself: whoever wrote them may have died before it said so. The time of a
    file has no fractions there, so one may be read once more than needed. `settings` have to be in
    force by one of these files: what overrode them may have gone without a word.
    """
    files_of_ours, names = [str(path) for path in paths], list(settings)
    if place.cluster.value(shell, UNREAD, files_of_ours, names) == "t":
        reload(shell, place)


def reload(shell: Shell, place: Place) -> None:
    """Let PostgreSQL read its files again, and wait until it has."""
    loaded = "SELECT pg_conf_load_time()"
    before = place.cluster.value(shell, loaded)
    place.cluster.execute(shell, "SELECT pg_reload_conf()")
    until(
        lambda: place.cluster.value(shell, loaded) != before,
        what=f"PostgreSQL on {place} reads its settings again",
        timeout_seconds=30,
    )


def waiting_for_restart(place: Place) -> list[str]:
    """The settings that PostgreSQL has read, and that a restart will bring into force."""
    sql = "SELECT name FROM pg_settings WHERE pending_restart"
    rows = place.cluster.query(place.host.shell(), sql)
    return sorted(str(row["name"]) for row in rows)


def require_ssl(place: Place) -> None:
    """Refuse a cluster to which nobody can speak but in the clear."""
    if settings(place, ("ssl",))["ssl"] != "on":
        raise Refused(
            f"PostgreSQL on {place} does not speak TLS",
            hint="install the package ssl-cert (or a certificate) and set ssl = on there",
        )


@step("admit {peer} in pg_hba.conf of {place}")
def admit(instance: OdooInstance, place: Place, peer: Place, *, odoo_role: str = "") -> None:
    """Let the two roles in from the one other server, and the recovery's own users by a role map.

    A cluster that is confined lets nobody in from outside but while its door is open.
    """
    shell, cluster, roles = place.host.shell(), place.cluster, instance.replication
    hba, ident = (cluster.config_dir / name for name in ("pg_hba.conf", "pg_ident.conf"))
    lines = (
        ""
        if cluster.confined
        else pg_hba.replication(
            user=roles.user, rewind_user=roles.rewind_user, peer=peer.host.peer_address
        )
    )
    if odoo_role:
        lines += pg_hba.superuser_map(map_name="relevo")
        lines += pg_hba.odoo_map(map_name="relevo", role=odoo_role)
        mapped = pg_hba.ident(map_name="relevo", system_user=place.odoo.user, role=odoo_role)
        mapped += pg_hba.ident(map_name="relevo", system_user=cluster.owner, role="postgres")
        _put(shell, place, ident, instance.name, mapped)
    _put(shell, place, hba, instance.name, lines)
    if look(place).answers:
        load(shell, place, hba, *([ident] if odoo_role else []))
    _require_valid_hba(place)


def _put(shell: Shell, place: Place, path: PurePosixPath, name: str, lines: str) -> None:
    files.edit(
        shell,
        path,
        lambda text: block.put(text, name=name, lines=lines),
        owner=_config_owner(shell, place.cluster, group=True),
        mode="640",
    )


def edit_hba(place: Place, change: Callable[[str], str]) -> None:
    """Change who may connect to a cluster, and let PostgreSQL read it; refuse a spoiled file."""
    shell, path = place.host.shell(), place.cluster.config_dir / "pg_hba.conf"
    owner = _config_owner(shell, place.cluster, group=True)
    files.edit(shell, path, change, owner=owner, mode="640")
    if look(place).answers:
        load(shell, place, path)
    _require_valid_hba(place)


def _require_valid_hba(place: Place) -> None:
    if not look(place).answers:
        return
    sql = "SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL"
    if rows := place.cluster.query(place.host.shell(), sql):
        raise Refused(
            f"pg_hba.conf on {place} has an error in line {rows[0]['line_number']}: "
            f"{rows[0]['error']}",
            hint="mend that line; PostgreSQL ignores the whole file until then",
        )


@step("create cluster {place.cluster} on {place}")
def create(place: Place) -> None:
    """Make an empty cluster of Debian's layout; one that is there is left alone."""
    shell, cluster = place.host.shell(), place.cluster
    require_binaries(shell, place)
    listed = find(shell, place)
    if listed is None:
        shell.run(postgres.create_cluster(cluster))
        shell.run(("systemctl", "daemon-reload"))
    if listed is None or listed.owner == cluster.owner:
        look(place)


def require_binaries(shell: Shell, place: Place) -> None:
    if not files.exists(shell, place.cluster.bin_dir / "postgres"):
        version = place.cluster.version
        raise Refused(
            f"PostgreSQL {version} is not installed on {place}",
            hint=f"apt install postgresql-{version} there (from PostgreSQL's own repository if "
            "the distribution has another version)",
        )


def wait_until_answering(place: Place) -> Seen:
    """Wait until a cluster answers SQL, whatever its role."""

    def answering() -> Seen | None:
        seen = look(place)
        seen.require_asked()
        return seen if seen.answers else None

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


def start(place: Place) -> Seen:
    """Start a cluster and wait until it answers SQL; systemd's exit code proves nothing here."""
    shell = place.host.shell()
    if not look(place).online:
        shell.run(("systemctl", "reset-failed", place.cluster.unit), check=False)
        argv = ("systemctl", "start", place.cluster.unit)
        done = shell.run(argv, check=False, timeout_seconds=START_SECONDS)
        if done.status and not look(place).online:
            said = f"{done.tail}\n{_last_words(place)}"
            raise CommandFailed(
                f"PostgreSQL {place.cluster} on {place} did not start: {said}", hint=_log(place)
            )
    return wait_until_answering(place)


def stop(place: Place) -> Seen:
    """Stop a cluster cleanly, and prove by its control file that it did.

    The origin's guard may stop it at the same moment: pg_ctl then finds nothing to do and
    complains. What counts is what is found afterwards.
    """
    said = ""
    if (seen := look(place)).online:
        said = _stop(place, seen.directory)
        seen = look(place)
    if seen.online or seen.control is None:
        raise CommandFailed(
            f"PostgreSQL {place.cluster} on {place} did not stop{said}", hint=_log(place)
        )
    return seen


def _stop(place: Place, directory: PurePosixPath) -> str:
    patience = ("-m", "fast", "-t", str(STOP_SECONDS))
    argv = postgres.control(place.cluster, directory, "stop", *patience)
    shell, owner = place.host.shell(), place.cluster.owner
    try:
        done = shell.run(argv, user=owner, check=False, timeout_seconds=STOP_SECONDS)
    except Unreachable as error:
        if not (seen := try_look(place)) or seen.answers or not seen.online:
            raise
        raise CommandFailed(
            f"PostgreSQL {place.cluster} on {place} is still shutting down after {STOP_SECONDS} s: "
            "it waits until every standby, backup and the archiver have what was written",
            hint=f"nothing is lost. On {place} see ps -u postgres, end the walsender that hangs, "
            "and press this again when the cluster is down",
        ) from error
    return f": {done.tail}" if done.status else ""


def stop_any(place: Place) -> None:
    """Stop a cluster, or leave it as a crash left it; prove only that it is down."""
    if look(place).online:
        stop(place)


def start_at_boot(place: Place, how: str) -> None:
    """Choose whether Debian starts this cluster at boot: auto or manual.

    A boot reads the file anew. Until then systemd would still start a cluster with the others, so
    it is told at once of one that must stay down; of the other kind it need not hear in a hurry.
    """
    path = place.cluster.config_dir / "start.conf"
    shell = place.host.shell()
    files.install(shell, path, f"{how}\n", owner=_config_owner(shell, place.cluster))
    if how == "manual" and files.exists(shell, WITH_THE_OTHERS / place.cluster.unit):
        shell.run(("systemctl", "daemon-reload"))


@step("promote {place}", retries=0)
def promote(place: Place) -> None:
    """Let the standby accept writes; a cluster that already does is left alone.

    Whether it does is asked by SQL: the exit code has been wrong both ways.
    """
    shell = place.host.shell()
    if (seen := look(place)).is_primary:
        log().info("%s already accepts writes", place)
    else:
        promoted = shell.run(
            postgres.control(place.cluster, seen.directory, "promote"),
            user=place.cluster.owner,
            check=False,
            timeout_seconds=PROMOTE_SECONDS,
        )
        if promoted.status != 0:
            log().warning("promoting %s ended with %d: %s", place, promoted.status, promoted.tail)
        until(
            lambda: place.cluster.value(shell, "SELECT NOT pg_is_in_recovery()") == "t",
            what=f"{place} accepts writes",
            timeout_seconds=PROMOTE_SECONDS,
            hint=f"{_log(place)}; a walreceiver that hangs can hold a promotion up",
        )
    start_at_boot(place, "auto")


@step("checkpoint {place}")
def checkpoint(place: Place) -> None:
    """Write the new timeline into the control file, which a later pg_rewind reads."""
    checkpoint_now(place)


def checkpoint_now(place: Place) -> None:
    place.cluster.execute(place.host.shell(), "CHECKPOINT", timeout_seconds=600)


@step("let {place} follow after a boot")
def follow_at_boot(place: Place) -> None:
    """Start this standby at boot: it has a leader to follow."""
    start_at_boot(place, "auto")
