"""Somebody deletes a great deal: people hear of it while it can be undone easily."""

from tasks.archive import mass
from tasks.language.reader import read_by
from tasks.orchestrator import instances
from tasks.recovery.procedure import flow


@flow(name="watch", flow_run_name="mass changes on {recovery}")
def watch(recovery: str) -> None:
    """Tell of mass changes that a recovery host has seen in the instances with a time machine.

    Runs every minute where there is such an instance. The program of the time machine looks for
    rows that are deleted in numbers, and for databases that shrink; this only reads what it has
    seen, and sends an event of each, once. Nothing is paused and nothing is changed.
    """
    everyone = [each for each in instances.on(recovery).instances if each.time_machine]
    read_by(next((each.language for each in everyone), "en"))
    mass.tell([each for each in everyone if each.time_machine and each.time_machine.alarm_rows])
