"""Where a server is not any more what the inventory says of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blocks.shell import Shell
from tasks.discovery.entry import Entry, scalar
from tasks.odoo import odoo_settings

# Others are wishes, which no server can contradict.
GROUPS = ("postgres", "odoo", "domains", "certificate", "certificates")
UNORDERED = {"odoo.sources", "domains"}


@dataclass(frozen=True)
class Drift:
    """A field, and what each of the two says of it."""

    field: str
    inventory: object
    server: object

    def __str__(self) -> str:
        """
        >>> print(Drift("odoo.http_port", 8069, 8070))
        odoo.http_port: the inventory says 8069, the server 8070
        >>> print(Drift("domains", ["a.example"], []))
        domains: the inventory says [a.example], the server nothing
        """
        ours, theirs = (_said(each) for each in (self.inventory, self.server))
        differs = f"the inventory says {ours}, the server {theirs}"
        return f"{self.field}: {differs}"


def _said(value: object) -> str:
    return scalar(value) if value not in (None, [], {}) else "nothing"


def find(entry: Entry, inventory: Mapping[str, Any]) -> Iterator[Drift]:
    """Compare what was found with an entry of the inventory, field by field.

    >>> found = Entry("a", {"odoo": {"http_port": 8070, "sources": ["/b", "/a"]}})
    >>> [str(each) for each in find(found, {"odoo": {"http_port": 8069, "sources": ["/a", "/b"]}})]
    ['odoo.http_port: the inventory says 8069, the server 8070']
    """
    for group in GROUPS:
        if group not in entry.values:
            continue
        theirs, ours = inventory.get(group), entry.values[group]
        if group in {"postgres", "odoo"}:
            yield from _fields(group, theirs or {}, ours)
        elif _plain(group, theirs) != _plain(group, ours):
            yield Drift(group, theirs, ours)


def unseen(entry: Entry) -> Iterator[str]:
    """Name what the server does not show of the cluster and of Odoo.

    >>> found = Entry("a", missing={"odoo.config": "there is none", "domains": "there is no nginx"})
    >>> list(unseen(found))
    ['odoo.config: not found: there is none']
    """
    for place, why in entry.missing.items():
        if place.startswith(("odoo.", "postgres.")):
            lacks = f"not found: {why}"
            yield f"{place}: {lacks}"


def really(shell: Shell, user: str, found: Iterable[Drift]) -> Iterator[Drift]:
    """Leave out paths that are two names of one file, seen as the user of Odoo."""
    for each in found:
        both = (each.inventory, each.server)
        if not all(isinstance(path, str) and path.startswith("/") for path in both):
            yield each
            continue
        argv = ("sh", "-c", odoo_settings.SAME, "same", *map(str, both))
        if shell.run(argv, user=user, check=False).status:
            yield each


def _fields(group: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Drift]:
    for name, value in ours.items():
        place = f"{group}.{name}"
        if _plain(place, theirs.get(name)) != _plain(place, value):
            yield Drift(place, theirs.get(name), value)


def _plain(place: str, value: object) -> object:
    """One form for both sides: order where it counts, and nothing for what is empty."""
    if place in UNORDERED and isinstance(value, (list, tuple)):
        return sorted(map(str, value))
    return value or None
