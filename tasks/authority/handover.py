"""What must hold before the write right is handed over on purpose. Looks, and changes nothing."""

from collections.abc import Callable

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance, Place
from tasks.authority import guard, promotable
from tasks.authority.situation import Procedure
from tasks.host import files
from tasks.odoo.customers import odoo_databases
from tasks.postgres.observe import ClusterState, observe
from tasks.receipts import receipt_files, receipts
from tasks.records import records
from tasks.records.kinds import Failover
from tasks.run.moments import size
from tasks.run.step import log, step
from tasks.standby import replication


def procedure(new_primary: Place) -> Procedure:
    """What a planned move is called: away from the origin, or home."""
    return "switchover" if new_primary.kind == "recovery" else "switchover home"


def sides(instance: OdooInstance, to: str) -> tuple[Place, Place]:
    """Who hands the write right over in a planned move, and who takes it."""
    new_primary = instance.recovery if to == "recovery" else instance.origin
    return instance.opposite(new_primary), new_primary


@step("require that {old_primary} can hand over to {new_primary} and lose nothing")
def require_lossless(instance: OdooInstance, old_primary: Place, new_primary: Place) -> None:
    """Refuse a planned move that could lose anything, with all that speaks against it.

    A move that has begun is not judged again: its own steps prove that nothing gets lost.
    """
    if wrong := objections(instance, old_primary, new_primary):
        raise Refused(
            f"{instance.name} is not moved from {old_primary} to {new_primary}: "
            + "; ".join(error.message for error in wrong),
            hint=next((error.hint for error in wrong if error.hint), "fix this and run it again"),
        )
    log().info("%s can be moved from %s to %s", instance.name, old_primary, new_primary)


def objections(instance: OdooInstance, old_primary: Place, new_primary: Place) -> list[RelevoError]:
    """All that speaks against a planned move."""
    wrong: list[RelevoError] = []
    if _has_begun(instance, old_primary, new_primary):
        return wrong
    for name, probe in PROBES.items():
        try:
            log().info("%s: %s", name, probe(instance, old_primary, new_primary))
        except RelevoError as error:
            wrong.append(error)
            if name in ESSENTIAL:
                break
    return wrong


@step("see whether {instance.name} is already moving to {new_primary}")
def has_begun(instance: OdooInstance, new_primary: Place) -> bool:
    """Tell whether an earlier run got as far as to stop the old primary."""
    return _has_begun(instance, instance.opposite(new_primary), new_primary)


def _has_begun(instance: OdooInstance, old_primary: Place, new_primary: Place) -> bool:
    here, there = observe(old_primary), observe(new_primary)
    if there.is_primary:
        begun = records.read(instance.recovery, instance, Failover) is not None
        known = receipts.newest(instance)
        return (
            begun and not here.is_primary and known is not None and known.taker == new_primary.kind
        )
    stopped = here.control is not None and here.control.shut_down and not here.online
    return stopped and there.is_standby


def _roles(instance: OdooInstance, old_primary: Place, new_primary: Place) -> str:
    here, there = observe(old_primary), observe(new_primary)
    if there.is_primary and here.is_standby:
        raise Refused(
            f"it is already served from {new_primary}",
            hint="leave it as it is: the customers are already there",
        )
    if not here.is_primary or not there.is_standby:
        raise Refused(
            f"{old_primary} is {here} and {new_primary} is {there}, but primary and standby "
            "are needed",
            hint=f"run check to see the state of {instance.name}; failover is for a primary that "
            "does not answer, failback for an origin that does not follow",
        )
    _require_copy(here, there, old_primary, new_primary)
    return f"{old_primary} is primary, {new_primary} is standby"


def _require_copy(
    here: ClusterState, there: ClusterState, old_primary: Place, new_primary: Place
) -> None:
    if here.control and there.control:
        one, other = here.control.system_identifier, there.control.system_identifier
        if one != other:
            raise Refused(f"{new_primary} is a copy of cluster {other}, and {old_primary} is {one}")


def _stream(instance: OdooInstance, old_primary: Place, new_primary: Place) -> str:
    replication.require_no_fork(new_primary, old_primary)
    if not replication.is_streaming(instance, new_primary, old_primary):
        raise Refused(
            f"{new_primary} does not stream from {old_primary}",
            hint=f"read PostgreSQL's log on {new_primary}",
        )
    promotable.require_replay(new_primary)
    return f"{size(replication.require_quick(instance, old_primary, new_primary))} behind"


def _service(instance: OdooInstance, old_primary: Place, new_primary: Place) -> str:
    del old_primary
    if new_primary.kind == "recovery":
        promotable.require_ready(instance)
    elif not files.exists(new_primary.host.shell(), new_primary.odoo.config):
        raise Refused(
            f"there is no {new_primary.odoo.config} on {new_primary}: Odoo could not serve there"
        )
    return f"Odoo is ready on {new_primary}"


def _receipts(instance: OdooInstance, old_primary: Place, new_primary: Place) -> str:
    kept = [receipt_files.history(instance, place) for place in (old_primary, new_primary)]
    if not kept[0] or kept[0][-1:] != kept[1][-1:] or kept[0][-1].taker != old_primary.kind:
        raise Refused(
            f"{old_primary} and {new_primary} do not agree that {old_primary} has the write right",
            hint="compare their receipts in /var/lib/relevo; replicate writes the first one where "
            "there is none",
        )
    return str(kept[0][-1])


def _guarded(instance: OdooInstance, old_primary: Place, new_primary: Place) -> str:
    del old_primary, new_primary
    guard.require_answered(instance)
    return f"{instance.origin} asks before it serves"


def _work(instance: OdooInstance, old_primary: Place, new_primary: Place) -> str:
    del instance, new_primary
    return f"databases that move: {', '.join(odoo_databases(old_primary))}"


PROBES: dict[str, Callable[[OdooInstance, Place, Place], str]] = {
    "roles": _roles,
    "stream": _stream,
    "service": _service,
    "receipts": _receipts,
    "guard": _guarded,
    "databases": _work,
}
ESSENTIAL = {"roles"}
