"""Every instance that Prefect knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from pydantic import ValidationError

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.run.step import log, step


@dataclass(frozen=True)
class Saved:
    """The instances that `relevo apply` has saved; `unread` says why others cannot be read.

    One that cannot be read costs the others nothing.
    """

    instances: list[OdooInstance]
    unread: Mapping[str, Refused] = field(default_factory=dict)


@step("read the saved instances")
def saved() -> Saved:
    """Load every instance that `relevo apply` has saved."""
    return _read(lambda _: True)


def on(recovery: str) -> Saved:
    """Load those of one recovery host; it is no step, for it is done every few minutes.

    One that names none that can be read may be of this host as well, and is among the `unread`.
    """
    return _read(lambda document: _recovery(document) in {recovery, None})


def _read(wanted: Callable[[BlockDocument], bool]) -> Saved:
    """Load all in one question, by their names."""
    with get_client(sync_client=True) as client:
        documents = client.read_block_documents_by_type(OdooInstance.get_block_type_slug())
    found: list[OdooInstance] = []
    unread: dict[str, Refused] = {}
    for each in sorted(filter(wanted, documents), key=lambda each: each.name or ""):
        try:
            found.append(understood(each))
        except Refused as error:
            log().warning("%s", error)
            unread[_name(each)] = error
    return Saved(found, unread)


def _recovery(document: BlockDocument) -> str | None:
    """The recovery host that a saved instance names, which may be of another release."""
    found: object = document.data
    for key in ("recovery", "host", "name"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


def _name(document: BlockDocument) -> str:
    return str(document.data.get("name") or document.name)


def understood(document: BlockDocument) -> OdooInstance:
    """Read what is saved of an instance.

    Prefect's own way asks five times, and keeps ten rows to say that it was loaded. What does not
    fit is not shown: there are passwords in it.
    """
    try:
        return OdooInstance.model_validate(document.data)
    except ValidationError:
        raise Refused(
            f"the saved instance {_name(document)} is of another release of Relevo",
            hint="run relevo apply",
        ) from None
