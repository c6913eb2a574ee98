"""The settings of a cluster: asked, installed, read by PostgreSQL, and in force."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from blocks.cluster import Cluster
from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.host import files
from tasks.postgres import postgresql_conf
from tasks.postgres.cluster import config_owner, restart
from tasks.postgres.postgresql_conf import Settings
from tasks.run.step import log, step
from tasks.run.wait import until

# The files that PostgreSQL reads after ours. Parameters: names of settings, our file, its folder.
LATER = """
SELECT DISTINCT name FROM pg_file_settings
WHERE name = ANY($1::text[]) AND error IS NULL AND sourcefile <> $2 AND (
    sourcefile = current_setting('data_directory') || '/postgresql.auto.conf'
    OR (left(sourcefile, length($3)) = $3 AND sourcefile COLLATE "C" > $2)
    OR seqno > (SELECT max(seqno) FROM pg_file_settings WHERE sourcefile = $2))
ORDER BY name
"""
UNREAD = """
SELECT bool_or(change + interval '1 second' > pg_conf_load_time())
    OR EXISTS (SELECT FROM pg_settings WHERE name = ANY($2::text[]) AND NOT pending_restart
        AND coalesce(sourcefile, '') <> ALL($1::text[]))
FROM unnest($1::text[]) AS path, pg_stat_file(path)
"""


def in_force(place: Place, names: tuple[str, ...]) -> dict[str, str]:
    """Ask a running cluster for the settings in force."""
    sql = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"
    rows = place.cluster.query(place.host.shell(), sql, list(names))
    return {str(row["name"]): str(row["setting"]) for row in rows}


def wanted(
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
    current = in_force(place, (*postgresql_conf.HOT_STANDBY, *CURRENT))
    needed = wanted(instance, place, current, shared=bool(shared))
    if shared:
        log().warning(
            "PostgreSQL on %s has slots of others (%s), so max_slot_wal_keep_size is not lowered "
            "for them: see that the disk holds what piles up while a reader is away",
            place, ", ".join(shared),
        )  # fmt: skip
    # Limits that were raised here for a rejoin stay: the other side's WAL may ask for them.
    kept = postgresql_conf.kept_limits(files.read(shell, path(place.cluster)))
    kept = {name: value for name, value in kept.items() if value >= int(current[name])}
    install(shell, place.cluster, {**kept, **needed})
    load(shell, place, path(place.cluster), settings=needed)
    _require_in_force(shell, place, needed)
    _restart_if_needed(place, needed, allow_restart=allow_restart)
    require_ssl(place)


def _slots_of_others(instance: OdooInstance, place: Place) -> list[str]:
    """Slots that somebody else reads from; temporary ones come and go with a session."""
    sql = (
        "SELECT slot_name FROM pg_replication_slots WHERE NOT temporary "
        "AND slot_name <> ALL($1::text[]) ORDER BY slot_name"
    )
    ours = [instance.name, f"{instance.name}_clone"]
    return [str(row["slot_name"]) for row in place.cluster.query(place.host.shell(), sql, ours)]


def _restart_if_needed(place: Place, needed: Settings, *, allow_restart: bool) -> None:
    """Restart for our own settings; what somebody else has prepared waits for somebody else."""
    waiting = waiting_for_restart(place)
    ours = [name for name in waiting if name in needed]
    theirs = [name for name in waiting if name not in needed]
    if theirs and not ours:
        said = ", ".join(theirs)
        log().info("%s of PostgreSQL on %s waits for a restart that is not Relevo's", said, place)
    if not ours:
        return
    require_restart(place, ours, theirs, allowed=allow_restart)
    log().info("restarting PostgreSQL on %s for %s", place, ", ".join(ours))
    restart(place)


def require_restart(place: Place, ours: list[str], theirs: list[str], *, allowed: bool) -> None:
    """Refuse a restart for our settings that nobody has allowed, or that brings in others'."""
    if ours and theirs:
        raise Refused(
            f"PostgreSQL on {place} must be restarted for {', '.join(ours)}, which would also "
            f"apply {', '.join(theirs)}, which somebody else has changed",
            hint="restart PostgreSQL there yourself when that is right, then run this again",
        )
    if ours and not allowed:
        raise Refused(
            f"PostgreSQL on {place} must be restarted for {', '.join(ours)}",
            hint="run this again with allow_restart, at a time when a short outage does no harm",
        )


def path(cluster: Cluster) -> PurePosixPath:
    return cluster.config_dir / "conf.d" / "relevo.conf"


def install(shell: Shell, cluster: Cluster, settings: Settings) -> None:
    install_text(shell, cluster, postgresql_conf.render(settings))


def install_text(shell: Shell, cluster: Cluster, text: str) -> None:
    owner = config_owner(shell, cluster)
    files.install(shell, path(cluster), text, owner=owner, mode="644")


def _require_in_force(shell: Shell, place: Place, needed: Settings) -> None:
    """Refuse when our file is not read, or when a later line overrides what is needed of it."""
    ours = path(place.cluster)
    sql = "SELECT name, applied, error FROM pg_file_settings WHERE sourcefile = $1"
    rows = place.cluster.query(shell, sql, str(ours))
    if not rows:
        raise Refused(
            f"PostgreSQL on {place} does not read {ours}",
            hint="add the line include_dir = 'conf.d' to its postgresql.conf",
        )
    beaten = [str(row["name"]) for row in rows if not row["applied"] and row["error"] is None]
    if beaten := [name for name in beaten if name in needed]:
        raise _overridden(place, beaten)


def _overridden(place: Place, names: list[str]) -> Refused:
    return Refused(
        f"on {place}, another file overrides what replication needs: {', '.join(names)}",
        hint="remove these settings with ALTER SYSTEM RESET, or from the file that "
        "pg_file_settings names",
    )


def require_the_last_word(instance: OdooInstance, place: Place) -> None:
    """Refuse files that would override ours, whether it is there already or not."""
    current = in_force(place, (*postgresql_conf.HOT_STANDBY, *CURRENT))
    names, ours = sorted(wanted(instance, place, current)), path(place.cluster)
    words = (names, str(ours), f"{ours.parent}/")
    if rows := place.cluster.query(place.host.shell(), LATER, *words):
        raise _overridden(place, [str(row["name"]) for row in rows])


def require_included(place: Place) -> None:
    """Refuse a cluster, running or not, whose postgresql.conf does not read conf.d."""
    path = place.cluster.config_dir / "postgresql.conf"
    reads = ("grep", "-Eq", r"^\s*include(_dir|_if_exists)?\b.*conf\.d", str(path))
    if place.host.shell().run(reads, user=place.cluster.owner, check=False).status != 0:
        raise Refused(
            f"PostgreSQL {place.cluster} on {place} does not read its conf.d",
            hint=f"add the line include_dir = 'conf.d' to {path}, and add_include_dir = 'conf.d' "
            "to /etc/postgresql-common/createcluster.conf for future clusters",
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
    if in_force(place, ("ssl",))["ssl"] != "on":
        raise Refused(
            f"PostgreSQL on {place} does not offer TLS",
            hint="install the package ssl-cert (or a certificate) and set ssl = on there",
        )
