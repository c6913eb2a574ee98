"""Runs without a server, kept on the recovery host until a server can show them."""

from datetime import UTC, datetime

from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.records import records
from tasks.records.kinds import Run, Runs
from tasks.run.moments import Clock
from tasks.run.step import log, step

KEPT = 20


def keep(instance: OdooInstance, procedure: str, *, ended: str, text: str, good: bool) -> None:
    """Write down how a run ended that no server has seen."""
    runs = _kept(instance)[-KEPT:]
    now = datetime.now(UTC).replace(microsecond=0)
    run = Run(procedure=procedure, time=now, ended=ended, text=text, good=good)
    records.write(instance.recovery, instance, Runs(runs=(*runs, run)))


def _kept(instance: OdooInstance) -> tuple[Run, ...]:
    return (records.read(instance.recovery, instance, Runs) or Runs()).runs


@step("record in Prefect the runs of {instance.name} without a server")
def bring(instance: OdooInstance) -> None:
    """Show, in the history of the server, what was done while it was down."""
    runs = _kept(instance)
    for run in runs:
        _show(instance, run)
    if runs:
        records.forget(instance.recovery, instance, Runs)
        log().info("%d runs of %s were done without a server", len(runs), instance.name)


def _show(instance: OdooInstance, run: Run) -> None:
    from tasks.orchestrator import history  # noqa: PLC0415  # Prefect, which a shell never loads

    at = Clock(instance.timezone, dated=True).at(run.time)
    sentence = plain(f"run from a shell without a server, ended at {at}: {run.ended}")
    history.show(instance, run.procedure, sentence=sentence, text=run.text, good=run.good)
