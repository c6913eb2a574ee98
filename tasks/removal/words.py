"""What taking an instance out takes away, and what stays: said before anybody says yes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Removal:
    """The names of a removal, and what was found."""

    instance: str
    origin: str
    recovery: str
    cluster: str
    odoo: str
    roles: tuple[str, ...]
    directory: str
    copy: str
    users: tuple[str, ...]
    archive: str
    secrets: str
    server: str = ""
    origin_is_gone: bool = False
    recovery_is_gone: bool = False
    delete_kept: bool = False
    last_copy: bool = False
    kept: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()


def page(found: Removal) -> str:
    """Say all of it, one fact a line."""
    parts = {
        "customers": _customers(found),
        f"removed at {found.origin}": _origin(found),
        f"removed on {found.recovery}": _recovery(found),
        "removed elsewhere": _elsewhere(found),
        "kept aside, and nowhere else": _kept(found),
        "stays": _stays(found),
    }
    said = [f"{head}\n" + "".join(f"  {line}\n" for line in lines) for head, lines in parts.items()]
    return f"To remove {found.instance}:\n\n" + "\n".join(said)


def _customers(found: Removal) -> Iterator[str]:
    if found.origin_is_gone:
        yield f"nobody is served: you say that {found.origin} is gone for good"
    else:
        yield f"are served from {found.origin}, and notice nothing: no PostgreSQL and no Odoo is "
        yield "restarted there"
    if not found.origin_is_gone:
        yield f"have no replica any more if {found.origin} dies"
    if found.recovery_is_gone:
        yield f"you say that {found.recovery} is gone for good: it must never come back, for its "
        yield "cluster starts at boot"


def _origin(found: Removal) -> Iterator[str]:
    if found.origin_is_gone:
        yield "nothing: it is gone. If its disk is ever used again, docs/take-out.md says what"
        yield "is on it"
        return
    yield f"what makes commits wait for {found.recovery}"
    yield f"the slots of {found.instance}, and the roles {' and '.join(found.roles)}"
    yield f"Relevo's settings, lines and passwords in PostgreSQL {found.cluster}"
    yield f"the key by which {found.recovery} fetches files, and its gate"
    yield f"the drop-ins of PostgreSQL and {found.odoo}; the guard; receipts, pages and logs"
    if found.restarts:
        yield f"(in force until PostgreSQL is next restarted: {', '.join(found.restarts)})"


def _recovery(found: Removal) -> Iterator[str]:
    if found.recovery_is_gone:
        yield "nothing: it is gone"
        return
    if found.last_copy:
        yield f"THE LAST COPY of {found.instance}: its database and its files"
    yield "the units of Odoo, of the follower and of the door; the nginx site and its certificate"
    yield f"the cluster {found.copy} with its data"
    yield f"{found.directory}: copies of the files, their trash, the built Odoo, the key"
    yield f"the users {' and '.join(found.users)}; receipts, records, pages and logs"


def _elsewhere(found: Removal) -> Iterator[str]:
    if found.server:
        yield f"in Prefect at {found.server}: the deployments with their schedules, and the block"
    else:
        yield "nothing in Prefect: no server is named here (run relevo apply --prune where it is)"
    yield f"the entries of {found.instance} in {found.secrets} and signers.yaml beside it"


def _kept(found: Removal) -> Iterator[str]:
    if not found.kept:
        yield "nothing"
        return
    yield (
        "is deleted, as --delete-kept says:"
        if found.delete_kept
        else ("stays where it is (--delete-kept would delete it):")
    )
    yield from (f"- {each}" for each in found.kept)


def _stays(found: Removal) -> Iterator[str]:
    yield f"the receipts, copied to {found.archive}"
    yield "DNS, as it is"
    yield "the entry in the inventory, which is yours to delete afterwards"


def ended(found: Removal, said: Sequence[str]) -> str:
    """Say what was done, and what is left to do for a person."""
    kept = () if found.delete_kept else found.kept
    left = [
        *said,
        *(f"kept: {each}" for each in kept),
        f"the receipts of {found.instance} are kept in {found.archive}",
        (
            f"delete the entry {found.instance} from the inventory, then run relevo apply "
            "(with --prune where Prefect was not told)"
        ),
    ]
    return f"{found.instance} is removed\n" + "".join(f"  {line}\n" for line in left)
