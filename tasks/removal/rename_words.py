"""What another name costs an instance: said before anybody says yes."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Rename:
    """The names of a rename, and what was found."""

    old: str
    new: str
    origin: str
    recovery: str
    size: str
    directory: str
    archive: str
    inventory: str
    backup: str
    secrets: str
    server: str = ""
    given: tuple[str, ...] = ()
    copied: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    may_restart: bool = False


def page(found: Rename) -> str:
    """Say all of it, one fact a line."""
    parts = {
        "customers": _customers(found),
        "no replica meanwhile": _meanwhile(found),
        f"what becomes of {found.old}": _changed(found),
        "kept aside, and nowhere else": _kept(found),
        "stays": _stays(found),
    }
    said = [f"{head}\n" + "".join(f"  {line}\n" for line in lines) for head, lines in parts.items()]
    return f"To rename {found.old} to {found.new}:\n\n" + "\n".join(said)


def _customers(found: Rename) -> Iterator[str]:
    if found.may_restart:
        yield f"are served from {found.origin}; its PostgreSQL is restarted where settings need it"
    else:
        yield f"are served from {found.origin}, and notice nothing: nothing is restarted there"


def _meanwhile(found: Rename) -> Iterator[str]:
    yield f"from when the copy on {found.recovery} is deleted, until the check of {found.new} ends"
    yield f"{found.size} of PostgreSQL are copied from {found.origin} meanwhile"
    yield f"if {found.origin} dies meanwhile, its database is lost, and nobody can be promoted"
    yield f"if this run is killed, relevo rename {found.old} {found.new} goes on"


def _changed(found: Rename) -> Iterator[str]:
    yield f"all else of it goes at {found.origin} and on {found.recovery}, as at a removal"
    yield f"its files go to {found.directory}, are compared, and do not travel again"
    for path, why in found.copied:
        yield f"{path} is copied again: {why}"
    yield f"the certificates of its site on nginx go to that of {found.new}"
    for each in found.site:
        yield f"goes to the site of {found.new}, and names that Odoo: {each}"
    yield f"its entry in {found.inventory} gets the new name; {found.backup} keeps the text"
    if found.given:
        yield f"in {found.secrets} the new name gets {', '.join(found.given)}"
    yield "passwords and the signing key that Relevo made are replaced; the ports stay"
    if found.server:
        yield f"in Prefect at {found.server} the deployments and the block get the new name"
    else:
        yield "nothing in Prefect: no server is named here (run relevo apply --prune where it is)"


def _kept(found: Rename) -> Iterator[str]:
    if not found.kept:
        yield "nothing"
        return
    yield "stays where it is:"
    yield from (f"- {each}" for each in found.kept)


def _stays(found: Rename) -> Iterator[str]:
    yield f"the receipts, copied to {found.archive}: as evidence only, without any write right"
    yield "DNS, as it is"


def ended(old: str, new: str, backup: str) -> str:
    """Say what was done, and what is left to do for a person."""
    lines = (
        f"the inventory of before is in {backup}: delete it when nobody needs it",
        f"write {new} where dashboards, scripts and people have {old}",
    )
    return f"{old} is renamed to {new}\n" + "".join(f"  {line}\n" for line in lines)
