"""Every instance that Prefect knows."""

from typing import cast

from prefect.client.orchestration import get_client

from blocks.instance import OdooInstance
from tasks.run.step import step


@step("read the saved instances")
def saved() -> list[OdooInstance]:
    """Load every instance that `relevo apply` has saved."""
    with get_client(sync_client=True) as client:
        documents = client.read_block_documents_by_type(OdooInstance.get_block_type_slug())
    names = sorted(document.name for document in documents if document.name)
    # Prefect's types promise a coroutine as well, which it returns to asynchronous callers only.
    return [cast("OdooInstance", OdooInstance.load(name)) for name in names]
