"""Every instance that Prefect knows."""

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from pydantic import ValidationError

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.run.step import step


@step("read the saved instances")
def saved() -> list[OdooInstance]:
    """Load every instance that `relevo apply` has saved."""
    return read()


def on(recovery: str) -> list[OdooInstance]:
    """Load those of one recovery host; it is no step, for it is done every few minutes."""
    return [each for each in read() if each.recovery.host.name == recovery]


def read() -> list[OdooInstance]:
    """Load all in one question, by their names."""
    with get_client(sync_client=True) as client:
        documents = client.read_block_documents_by_type(OdooInstance.get_block_type_slug())
    return [
        understood(each)
        for each in sorted(documents, key=lambda each: each.name or "")
        if each.name
    ]


def understood(document: BlockDocument) -> OdooInstance:
    """Read what is saved of an instance.

    Prefect's own way asks five times, and keeps ten rows to say that it was loaded. What does not
    fit is not shown: there are passwords in it.
    """
    try:
        return OdooInstance.model_validate(document.data)
    except ValidationError:
        raise Refused(
            f"the saved instance {document.name} is of another release of Relevo",
            hint="run relevo apply",
        ) from None
