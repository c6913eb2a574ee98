"""Runs without a server, kept on the recovery host until a server can show them."""

from datetime import UTC, datetime

from prefect import Flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks import record
from tasks.policy import log, step
from tasks.records import Run, Runs
from tasks.report import slug
from tasks.tags import MANAGED, tag

KEPT = 20


def keep(instance: OdooInstance, procedure: str, *, ended: str, text: str, good: bool) -> None:
    """Write down how a run ended that no server has seen."""
    runs = _kept(instance)[-KEPT:]
    now = datetime.now(UTC).replace(microsecond=0)
    run = Run(procedure=procedure, time=now, ended=ended, text=text, good=good)
    record.write(instance.recovery, instance, Runs(runs=(*runs, run)))


def _kept(instance: OdooInstance) -> tuple[Run, ...]:
    return (record.read(instance.recovery, instance, Runs) or Runs()).runs


@step("bring the runs of {instance.name} without a server into Prefect")
def bring(instance: OdooInstance) -> None:
    """Show, in the history of the server, what was done while it was down."""
    runs = _kept(instance)
    for run in runs:
        _show(instance, run)
    if runs:
        record.forget(instance.recovery, instance, Runs)
        log().info("%d runs of %s were done without a server", len(runs), instance.name)


def _show(instance: OdooInstance, run: Run) -> None:
    said = plain(f"run from a shell without a server, ended {run.time.isoformat()}: {run.ended}")
    state: State[None] = Completed(message=said) if run.good else Failed(message=said)
    with get_client(sync_client=True) as client:
        client.create_flow_run(
            Flow(_nothing, name=run.procedure),
            name=f"{run.procedure} of {instance.name} from a shell",
            tags=[MANAGED, tag(instance.name), "break-glass"],
            state=state,
        )
    if run.text:
        key = slug(f"{run.procedure}-{instance.name}")
        create_markdown_artifact(plain(run.text, lines=True), key=key, description=said)


def _nothing() -> None:
    """Stand for a flow that ran elsewhere."""
