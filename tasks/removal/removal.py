"""Whether an instance can be taken out now, and what that would take away: nothing is changed."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from tasks.authority import fence
from tasks.host import files
from tasks.odoo import service
from tasks.postgres import cluster_settings
from tasks.postgres.observe import observe
from tasks.readiness import aside
from tasks.readiness.aside import Kept
from tasks.receipts import receipt_files, receipts
from tasks.records import records
from tasks.records.kinds import Failover
from tasks.recovery import users
from tasks.run.step import step
from tasks.serving import site_files
from tasks.standby import replication

SHOWN = 5  # by name
RESTARTS = """
SELECT name FROM pg_settings WHERE sourcefile = $1 AND context = 'postmaster' ORDER BY name
"""


@dataclass(frozen=True)
class Wishes:
    """What the operator says of the servers, and asks for."""

    origin_is_gone: bool = False
    recovery_is_gone: bool = False
    delete_kept: bool = False

    def is_gone(self, place: Place) -> bool:
        return self.origin_is_gone if place.kind == "origin" else self.recovery_is_gone


@dataclass(frozen=True)
class Survey:
    """How an instance stands that is about to be taken out."""

    instance: OdooInstance
    wishes: Wishes
    kept: tuple[Kept, ...] = ()
    restarts: tuple[str, ...] = ()
    last_copy: bool = False
    site: tuple[Kept, ...] = ()


@step("see whether {instance.name} can be removed")
def survey(instance: OdooInstance, wishes: Wishes) -> Survey:
    """Refuse where customers would lose something by it; say what is there.

    What an earlier run has taken away already is not missed.
    """
    found = users.as_found(instance)
    for place in (found.origin, found.recovery):
        _require_as_said(found, place, wishes)
    if not wishes.recovery_is_gone:
        _require_at_rest(found, wishes)
        _require_unmounted(found)
    if not wishes.origin_is_gone:
        _require_served(found, wishes)
    last_copy = wishes.origin_is_gone and not wishes.recovery_is_gone and _has_copy(found)
    if last_copy and not wishes.delete_kept:
        recovery = found.recovery
        raise Refused(
            f"the copy of {found.name} on {recovery} is all that is left of it, and this would "
            "delete it",
            hint=f"copy away what somebody may want: {_whereabouts(found)} and "
            f"{recovery.odoo.data_dir} there. Add --delete-kept when nobody needs them any more",
        )
    kept, restarts = tuple(_kept(found, wishes)), _restarts(found, wishes)
    return Survey(found, wishes, kept, restarts, last_copy, _site(found, wishes))


def _require_as_said(instance: OdooInstance, place: Place, wishes: Wishes) -> None:
    option = f"--{place.kind}-is-gone"
    answers = fence.answers(place)
    if not answers and not wishes.is_gone(place):
        raise Unreachable(
            f"{place} does not answer, and {instance.name} would be removed only in part",
            hint=f"run this again when it answers; if it never will, add {option}",
        )
    if answers and wishes.is_gone(place) and _has_cluster(place):
        raise Refused(
            f"{place} answers and has the cluster {place.cluster}, so it is not gone",
            hint=f"leave out {option}",
        )


def _require_at_rest(instance: OdooInstance, wishes: Wishes) -> None:
    """Refuse to take away a recovery host that serves, or that a move is not done with."""
    recovery, shell, name = instance.recovery, instance.recovery.host.shell(), instance.name
    if instance.settled != "own":
        raise Refused(
            f"{name} still shares users with other instances on {recovery}",
            hint=f"run replicate/{name} first, which gives it its own; where the origin is gone, "
            "follow docs/take-out.md",
        )
    if service.is_active(shell, recovery.odoo.unit):
        home = f"stop {recovery.odoo.unit} there when nobody needs it any more, and run this again"
        raise Refused(
            f"customers of {name} are served from {recovery}",
            hint=home if wishes.origin_is_gone else f"run relevo failback {name} first",
        )
    if wishes.origin_is_gone:
        return
    begun = records.read(recovery, instance, Failover)
    known = receipts.newest(instance)
    away = known is not None and known.taker == recovery.kind
    if begun or away or (_has_cluster(recovery) and observe(recovery).is_primary):
        raise Refused(
            f"a move of {name} to {recovery} was not finished",
            hint=f"run relevo failback {name}, which goes on from there, then run this again",
        )


def _require_unmounted(instance: OdooInstance) -> None:
    """Refuse what would end half-way: no other disk is emptied, and none can be deleted."""
    recovery = instance.recovery
    said = recovery.host.shell().run(("findmnt", "--raw", "--noheadings", "--output", "TARGET"))
    folders = (instance.directory, recovery.odoo.data_dir)
    found = [
        each
        for each in said.stdout.split()
        if any(PurePosixPath(each).is_relative_to(folder) for folder in folders)
    ]
    if found:
        raise Refused(
            f"{', '.join(found)} on {recovery} is a disk of its own, which is not deleted with "
            f"{instance.directory}",
            hint=f"stop what works there, run umount {' '.join(reversed(found))}, and run this "
            "again: what is on that disk stays",
        )


def _require_served(instance: OdooInstance, wishes: Wishes) -> None:
    """Refuse to leave an origin that does not have the write right, or whose cluster is down."""
    origin = instance.origin
    state = observe(origin)
    if not state.is_primary:
        raise Refused(
            f"PostgreSQL on {origin} is {state}, but customers of {instance.name} would go on with "
            "it",
            hint=f"start {origin.cluster.unit} there; run relevo status to see who serves",
        )
    if not wishes.recovery_is_gone:
        return
    if origin.cluster.query(origin.host.shell(), replication.SENDS, instance.name):
        raise Refused(
            f"{instance.recovery} still follows {origin}, so it is not gone",
            hint="leave out --recovery-is-gone, or power it off for good",
        )
    history = receipt_files.kept_on(instance, origin).all
    if history and history[max(history)].taker == instance.recovery.kind:
        raise Refused(
            f"the newest receipt of {instance.name} gives the write right to {instance.recovery}",
            hint=f"run relevo plan recovery-is-gone {instance.name} and follow it first",
        )


def _has_cluster(place: Place) -> bool:
    path = place.cluster.config_dir / "postgresql.conf"
    return files.exists(place.host.shell(), path)


def _has_copy(instance: OdooInstance) -> bool:
    recovery = instance.recovery
    gone = files.missing(recovery.host.shell(), recovery.odoo.data_dir)
    return _has_cluster(recovery) or not gone


def _whereabouts(instance: OdooInstance) -> str:
    recovery = instance.recovery
    return str(observe(recovery).directory) if _has_cluster(recovery) else "what is kept aside"


def _kept(instance: OdooInstance, wishes: Wishes) -> list[Kept]:
    there = [
        place
        for place in (instance.origin, instance.recovery)
        if not wishes.is_gone(place) and _has_cluster(place)
    ]
    return [each for place in there for each in aside.found(instance, place)]


def _site(instance: OdooInstance, wishes: Wishes) -> tuple[Kept, ...]:
    """What people wrote for nginx in the folder of its site; nobody else has that."""
    if wishes.recovery_is_gone or not (names := site_files.of_people(instance)):
        return ()
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    what = f"what people wrote for nginx ({plain(', '.join(names[:SHOWN]))}{more})"
    return (Kept(str(instance.recovery), str(site_files.folder(instance)), what),)


def _restarts(instance: OdooInstance, wishes: Wishes) -> tuple[str, ...]:
    """The settings of ours at the origin that a restart alone can take back."""
    if wishes.origin_is_gone:
        return ()
    origin = instance.origin
    path = str(cluster_settings.path(origin.cluster))
    rows = origin.cluster.query(origin.host.shell(), RESTARTS, path)
    return tuple(str(row["name"]) for row in rows)
