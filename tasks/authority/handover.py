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
from tasks.records import record
from tasks.records.records import Failover
from tasks.run.step import log, step
from tasks.standby import replication


def procedure(taker: Place) -> Procedure:
    """What a planned move is called: away from the origin, or home."""
    return "switchover" if taker.kind == "recovery" else "switchover home"


def sides(instance: OdooInstance, to: str) -> tuple[Place, Place]:
    """Who hands the write right over in a planned move, and who takes it."""
    taker = instance.recovery if to == "recovery" else instance.origin
    return instance.opposite(taker), taker


@step("require that {giver} can hand over to {taker} and lose nothing")
def require_lossless(instance: OdooInstance, giver: Place, taker: Place) -> None:
    """Refuse a planned move that could lose anything, with all that speaks against it.

    A move that has begun is not judged again: its own steps prove that nothing gets lost.
    """
    if wrong := objections(instance, giver, taker):
        raise Refused(
            f"{instance.name} is not moved from {giver} to {taker}: "
            + "; ".join(error.message for error in wrong),
            hint=next((error.hint for error in wrong if error.hint), "fix this and run it again"),
        )
    log().info("%s can be moved from %s to %s", instance.name, giver, taker)


def objections(instance: OdooInstance, giver: Place, taker: Place) -> list[RelevoError]:
    """All that speaks against a planned move."""
    wrong: list[RelevoError] = []
    if _has_begun(instance, giver, taker):
        return wrong
    for name, probe in PROBES.items():
        try:
            log().info("%s: %s", name, probe(instance, giver, taker))
        except RelevoError as error:
            wrong.append(error)
            if name in ESSENTIAL:
                break
    return wrong


@step("see whether {instance.name} is already moving to {taker}")
def has_begun(instance: OdooInstance, taker: Place) -> bool:
    """Tell whether an earlier run got as far as to stop the giver."""
    return _has_begun(instance, instance.opposite(taker), taker)


def _has_begun(instance: OdooInstance, giver: Place, taker: Place) -> bool:
    here, there = observe(giver), observe(taker)
    if there.is_primary:
        begun = record.read(instance.recovery, instance, Failover) is not None
        known = receipts.newest(instance)
        return begun and not here.is_primary and known is not None and known.taker == taker.kind
    stopped = here.control is not None and here.control.shut_down and not here.online
    return stopped and there.is_standby


def _roles(instance: OdooInstance, giver: Place, taker: Place) -> str:
    here, there = observe(giver), observe(taker)
    if there.is_primary and here.is_standby:
        raise Refused(
            f"it is already served from {taker}", hint="do nothing: it is where it should be"
        )
    if not here.is_primary or not there.is_standby:
        raise Refused(
            f"{giver} is {here} and {taker} is {there}, but primary and standby are needed",
            hint=f"run check to see the state of {instance.name}; failover is for a primary that "
            "does not answer, failback for an origin that does not follow",
        )
    _require_copy(here, there, giver, taker)
    return f"{giver} is primary, {taker} is standby"


def _require_copy(here: ClusterState, there: ClusterState, giver: Place, taker: Place) -> None:
    if here.control and there.control:
        one, other = here.control.system_identifier, there.control.system_identifier
        if one != other:
            raise Refused(f"{taker} is a copy of cluster {other}, and {giver} is {one}")


def _stream(instance: OdooInstance, giver: Place, taker: Place) -> str:
    replication.require_no_fork(taker, giver)
    if not replication.is_streaming(instance, taker, giver):
        raise Refused(
            f"{taker} does not stream from {giver}", hint=f"read PostgreSQL's log on {taker}"
        )
    promotable.require_replay(taker)
    return f"{replication.require_quick(instance, giver, taker)} bytes behind"


def _service(instance: OdooInstance, giver: Place, taker: Place) -> str:
    del giver
    if taker.kind == "recovery":
        promotable.require_ready(instance)
    elif not files.exists(taker.host.shell(), taker.odoo.config):
        raise Refused(f"there is no {taker.odoo.config} on {taker}: Odoo could not serve there")
    return f"Odoo is ready on {taker}"


def _receipts(instance: OdooInstance, giver: Place, taker: Place) -> str:
    kept = [receipt_files.history(instance, place) for place in (giver, taker)]
    if not kept[0] or kept[0][-1:] != kept[1][-1:] or kept[0][-1].taker != giver.kind:
        raise Refused(
            f"{giver} and {taker} do not agree that {giver} has the write right",
            hint="compare their receipts in /var/lib/relevo; replicate writes the first one where "
            "there is none",
        )
    return str(kept[0][-1])


def _guarded(instance: OdooInstance, giver: Place, taker: Place) -> str:
    del giver, taker
    guard.require_answered(instance)
    return f"{instance.origin} asks before it serves"


def _work(instance: OdooInstance, giver: Place, taker: Place) -> str:
    del instance, taker
    return f"databases that move: {', '.join(odoo_databases(giver))}"


PROBES: dict[str, Callable[[OdooInstance, Place, Place], str]] = {
    "roles": _roles,
    "stream": _stream,
    "service": _service,
    "receipts": _receipts,
    "guard": _guarded,
    "databases": _work,
}
ESSENTIAL = {"roles"}
