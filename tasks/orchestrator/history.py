"""What was done without a server, shown in Prefect's own history."""

from prefect import Flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.run.report import slug
from tasks.run.tags import MANAGED, tag


def show(instance: OdooInstance, procedure: str, *, sentence: str, text: str, good: bool) -> None:
    """Make a run that has ended, and the report that it left."""
    state: State[None] = Completed(message=sentence) if good else Failed(message=sentence)
    with get_client(sync_client=True) as client:
        client.create_flow_run(
            Flow(_nothing, name=procedure),
            name=f"{procedure} of {instance.name} from a shell",
            tags=[MANAGED, tag(instance.name), "break-glass"],
            state=state,
        )
    if text:
        key = slug(f"{procedure}-{instance.name}")
        create_markdown_artifact(plain(text, lines=True), key=key, description=sentence)


def _nothing() -> None:
    """Stand for a flow that ran elsewhere."""
