"""Every instance that Prefect knows."""

from prefect.client.orchestration import get_client

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
    named = sorted((each for each in documents if each.name), key=lambda each: str(each.name))
    # What loads one by its name asks five times.
    return [OdooInstance._load_from_block_document(each) for each in named]  # noqa: SLF001  # no other way
