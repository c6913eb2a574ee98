"""The standby on the recovery host, made for the first time or anew."""

import re
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.odoo import odoo_conf, odoo_settings
from tasks.postgres import cluster, cluster_settings, postgresql_conf
from tasks.postgres.observe import observe, read_control
from tasks.records import records
from tasks.records.kinds import Identity
from tasks.run.step import log, step
from tasks.standby import clone as clones
from tasks.standby import limits, rejoin, replication

PRELOADED = ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries")
LIBRARY = re.compile(r"[A-Za-z0-9_-]{1,63}")


@step("require that {place} is the primary")
def require_primary(place: Place) -> None:
    """Refuse to clone from a cluster that is not the one that accepts writes."""
    state = observe(place)
    state.require_asked()
    if not state.is_primary:
        raise Refused(
            f"PostgreSQL {place.cluster} on {place} is {state}, not primary",
            hint="run failback after a failover; otherwise start PostgreSQL there",
        )


@step("require the locales of {instance.origin} on {instance.recovery}")
def require_locales(instance: OdooInstance) -> None:
    """Refuse to clone databases whose locale the recovery host does not have."""
    refuse_lacking_locales(instance)


def refuse_lacking_locales(instance: OdooInstance) -> None:
    origin = instance.origin
    sql = (
        "SELECT DISTINCT l AS locale FROM pg_database, "
        "LATERAL (VALUES (datcollate), (datctype)) AS v(l)"
    )
    rows = origin.cluster.query(origin.host.shell(), sql)
    has = instance.recovery.host.shell().run(("locale", "-a")).stdout.split()
    known = {_canonical(name) for name in has}
    lacking = sorted({str(r["locale"]) for r in rows if _canonical(str(r["locale"])) not in known})
    if lacking:
        raise Refused(
            f"{instance.recovery} lacks the locales of {origin}: {', '.join(lacking)}",
            hint="generate them there with dpkg-reconfigure locales, then run this again",
        )


def refuse_lacking_libraries(instance: OdooInstance) -> None:
    """Refuse libraries that a clone would bring by name alone: no standby starts without them."""
    origin, recovery = instance.origin, instance.recovery
    found = cluster_settings.in_force(origin, PRELOADED)
    values = (found.get(name, "") for name in PRELOADED)
    names = sorted({each for value in values for each in postgresql_conf.libraries(value)})
    folder = PurePosixPath(f"/usr/lib/postgresql/{recovery.cluster.version}/lib")
    wanted = [folder / f"{name}.so" for name in names if LIBRARY.fullmatch(name)]
    if lacking := files.missing(recovery.host.shell(), *wanted) if wanted else []:
        named = ", ".join(PurePosixPath(path).stem for path in lacking)
        raise Refused(
            f"{recovery} lacks libraries that PostgreSQL on {origin} loads: {named}",
            hint=f"install their packages on {recovery}, or take them out of the settings "
            f"*_preload_libraries on {origin}",
        )


def _canonical(locale: str) -> str:
    """
    >>> _canonical("en_US.UTF-8") == _canonical("en_US.utf8")
    True
    """
    return locale.lower().replace("-", "")


@step("read the database role of Odoo at {instance.origin}")
def odoo_role(instance: OdooInstance) -> str:
    """The role that owns the customers' databases."""
    text = odoo_settings.require(instance).text
    return odoo_conf.database_role(text, default=instance.origin.odoo.user)


@step("configure the cluster of {instance.name} on {instance.recovery}")
def configure(instance: OdooInstance) -> None:
    """Give the standby settings with which it starts, leads one day and can be rewound.

    They stand outside of the data directory, where a base backup does not bring them. A standby
    that runs keeps its own limits where they are higher, and one that is down has those that its
    WAL asks for: with lower ones it would not start.
    """
    origin, recovery = instance.origin, instance.recovery
    cluster_settings.require_included(recovery)
    state = observe(recovery)
    running = state.answers
    theirs = cluster_settings.in_force(
        origin, (*postgresql_conf.HOT_STANDBY, *cluster_settings.CURRENT)
    )
    mine = cluster_settings.in_force(recovery, postgresql_conf.HOT_STANDBY) if running else theirs
    base = {**theirs, "listen_addresses": "localhost"}
    wanted = dict(cluster_settings.wanted(instance, recovery, base))
    if recovery.cluster.confined:
        del wanted["listen_addresses"]  # its door listens outside (tasks/recovery/confinement.py)
    wrote = state.control.limits if state.control and state.control.was_standby else {}
    needs = {
        name: max(int(value), int(wanted.get(name, 0)), wrote.get(name, 0))
        for name, value in postgresql_conf.at_least(theirs, mine).items()
    }
    wanted |= needs
    shell = recovery.host.shell()
    cluster_settings.install(shell, recovery.cluster, wanted)
    limits.fit(recovery, state.directory, needs)
    if not running:
        return
    cluster_settings.load(shell, recovery, cluster_settings.path(recovery.cluster), settings=wanted)
    if ours := [name for name in cluster_settings.waiting_for_restart(recovery) if name in wanted]:
        log().info("restarting the standby on %s for %s", recovery, ", ".join(ours))
        cluster.restart(recovery)


@step("clone {instance.origin} to {instance.recovery}", retries=0)
def clone(instance: OdooInstance, *, reclone: bool) -> None:
    """Make the clone beside what is there, which goes on following or can be promoted; then swap.

    The empty cluster that pg_createcluster has made is deleted when the clone streams.
    """
    origin, recovery = instance.origin, instance.recovery
    if not reclone and replication.is_following(instance, recovery, origin):
        log().info("%s already follows %s", recovery, origin)
        rejoin.clear(instance, recovery, origin)
        return
    _require_replaceable(instance, reclone=reclone)
    if gone := replication.is_out_of_reach(recovery, origin):
        log().warning("%s no longer has the WAL that %s needs: cloning it again", origin, recovery)
    anew = reclone or gone or not _is_copy(instance)
    aside = None
    if anew and observe(recovery).is_standby:
        rejoin.renew(instance, recovery, origin)
    else:
        cluster.stop_starting(recovery)
        aside = rejoin.rejoin(
            instance, recovery, origin, reclone=anew, why=_why(instance, reclone=reclone)
        )
    cluster.start_at_boot(recovery, "auto")
    if aside:
        _delete_if_never_used(recovery, aside)


def require_clonable(instance: OdooInstance, *, reclone: bool) -> None:
    """Refuse, before anything is changed for it, a clone that would be refused when it is made."""
    origin, recovery = instance.origin, instance.recovery
    if not reclone and replication.is_following(instance, recovery, origin):
        return
    _require_replaceable(instance, reclone=reclone)
    if reclone or not _is_copy(instance):
        clones.require_no_tablespaces(origin)
        clones.require_room(recovery, origin, observe(recovery).directory.parent)


def _require_replaceable(instance: OdooInstance, *, reclone: bool) -> None:
    """Refuse to put a clone in the place of a cluster that serves, or that may be the last copy."""
    recovery, state = instance.recovery, observe(instance.recovery)
    if state.is_primary and not (state.control and state.control.never_used):
        raise Refused(
            f"{recovery.cluster} on {recovery} accepts writes: a new clone would throw away what "
            f"customers of {instance.name} write there",
            hint="run failback if customers are served from there (somebody may have promoted it "
            f"by hand); if nobody is, stop {recovery.cluster.unit} there and run this again",
        )
    if not reclone:
        _require_same_origin(instance)


def _require_same_origin(instance: OdooInstance) -> None:
    """Refuse an origin that is another cluster than the one of the copy: the copy may be the last.

    A clone of the new one that was asked for, and cut off after it was swapped in, goes on.
    """
    origin, recovery = instance.origin, instance.recovery
    known, control = records.read(recovery, instance, Identity), observe(origin).control
    if known is None or control is None or _is_copy(instance):
        return
    if known.system_identifier != control.system_identifier:
        raise Refused(
            f"{origin} is the cluster {control.system_identifier}, and {recovery} has the copy of "
            f"{known.system_identifier}: the origin was reinstalled or replaced",
            hint="run basebackup with reclone to replicate the new cluster: the old copy is kept "
            f"aside; if the old data is still needed, leave {recovery} as it is: its copy may be "
            "the last one",
        )


def _why(instance: OdooInstance, *, reclone: bool) -> str:
    """Say why a new clone is made: of a new instance nobody has asked for a second one."""
    first = f"{instance.recovery} has no copy of {instance.origin} that could follow it"
    return rejoin.ASKED if reclone else first


def _is_copy(instance: OdooInstance) -> bool:
    mine, theirs = observe(instance.recovery).control, observe(instance.origin).control
    return bool(mine and theirs and mine.system_identifier == theirs.system_identifier)


def _delete_if_never_used(place: Place, aside: PurePosixPath) -> None:
    """Delete what this run has moved aside, if its own control file shows that it was never used.

    Only that of a clean stop is the last word. Whatever else was moved aside, now or earlier, may
    be the last copy of something.
    """
    shell = place.host.shell()
    control = read_control(shell, place, aside)
    if control is not None and control.shut_down and control.never_used:
        log().info("%s on %s was made and never used: it is deleted", aside, place)
        files.remove_tree(shell, aside)


@step("note which cluster {instance.name} is")
def note_identity(instance: OdooInstance) -> None:
    """Write down the system identifier of the copy, by which a failover knows it."""
    control = observe(instance.recovery).control
    assert control is not None, "it streams, so it has a control file"
    noted = Identity(system_identifier=control.system_identifier)
    records.write(instance.recovery, instance, noted)
