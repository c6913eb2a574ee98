"""What a run leaves that was cancelled or has failed: said on its own page.

Of a cancelled run Prefect calls the hook in the worker's process, by keyword, once the run's own
process is gone; of a failed one in the run's own, at its end. It has no lock by then, and what it
was about to do it does no more.
"""

from typing import Any

from blocks.errors import RelevoError, ShutOut, Unreachable
from blocks.instance import OdooInstance, Place
from tasks.authority.situation import SILENT
from tasks.host import job, lock
from tasks.odoo import service
from tasks.plan.aftermath_read import Aftermath, End
from tasks.postgres.observe import ClusterState, observe
from tasks.records import records
from tasks.records.kinds import Decided
from tasks.recovery import users

LONG = "systemctl list-units --plain --no-legend --state=running \"$@\" | awk '{print $1}'"


def say(flow: Any, flow_run: Any, state: Any) -> None:
    """Say in the log of a cancelled run how things are, and what to press next."""
    from tasks.orchestrator import hooks  # noqa: PLC0415  # Prefect, which a shell never loads

    hooks.say_aftermath(flow, flow_run, state)


def say_failed(flow: Any, flow_run: Any, state: Any) -> None:
    """Say on a page of its own what failed, what is kept, and what to press."""
    from tasks.orchestrator import hooks  # noqa: PLC0415  # Prefect, which a shell never loads

    hooks.say_failed(flow, flow_run, state)


def measure(instance: OdooInstance, procedure: str, *, ended: str = "was cancelled") -> Aftermath:
    """Ask both ends; of one that cannot be asked, say why."""
    instance = users.as_found(instance)
    origin, recovery = instance.origin, instance.recovery
    ends, going_on = [], []
    for place in (origin, recovery):
        try:
            ends.append(_end(place, observe(place)))
            going_on += [f"{unit} on {place}" for unit in _long(instance, place)]
        except Unreachable as error:
            sentence = f"not known: {error.message}" if isinstance(error, ShutOut) else SILENT
            ends.append(End(str(place), sentence, place.odoo.unit))
        except RelevoError as error:
            ends.append(End(str(place), f"not known: {error.message}", place.odoo.unit))
    return Aftermath(instance.name, procedure, ends[0], ends[1], tuple(going_on), ended)


def lock_sentence(instance: OdooInstance) -> str:
    """Say who holds the lock now; another run may."""
    try:
        holder = lock.under_way(instance)
    except RelevoError:
        return f"{instance.recovery} does not say who holds the lock."
    return f"{holder} holds the lock." if holder else "The lock is free."


def approved(instance: OdooInstance, run: str) -> bool:
    """Tell whether a yes to this very run is written down, so that its Retry asks for none."""
    try:
        kept = records.read(instance.recovery, instance, Decided)
    except RelevoError:
        return False
    return kept is not None and kept.run == run


def _end(place: Place, state: ClusterState) -> End:
    runs = service.is_active(place.host.shell(), place.odoo.unit)
    return End(str(place), str(state), place.odoo.unit, odoo_runs=runs)


def _long(instance: OdooInstance, place: Place) -> list[str]:
    """The long commands of this instance that outlive the run which began them."""
    argv = ("sh", "-c", LONG, "long", *job.units(instance.name))
    output = place.host.shell().run(argv, check=False).stdout
    return output.split()
