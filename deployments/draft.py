"""New entries beside an inventory: named, given ports, and held against all that is there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import Refused, RelevoError
from blocks.host import Host
from blocks.instance import OdooInstance
from blocks.reserved import is_reserved
from deployments import inventory
from deployments import ports as allotted
from deployments.book import Book
from deployments.inventory import Document
from deployments.secrets import Secrets
from deployments.targets import UNKNOWN
from tasks.discovery.addresses import is_ip
from tasks.discovery.entry import Entry, render, scalar
from tasks.recovery import ports

NO_SECRETS = Path("/nowhere/secrets.yaml")  # passwords that are made for a question, and not kept


@dataclass(frozen=True)
class Recovery:
    """The recovery server as far as it is known: its host, its ports, or what went wrong there."""

    host: Host | None = None
    taken: frozenset[int] = frozenset()
    error: RelevoError | None = None

    @property
    def asked(self) -> bool:
        return self.host is not None and self.error is None


def blank(path: Path, recovery: Recovery) -> Book:
    """Begin an inventory; without a recovery server its entry is left to be filled in."""
    host = recovery.host
    if host is None:
        text = f"recovery: {{address: {UNKNOWN}}}\n"
        return Book(path, f"{text}\ninstances:\n", is_new=True)
    is_other = host.peer_address != host.address
    public = host.address if is_ip(host.address) else host.peer_address
    said = {
        "name": host.name, "address": host.address,
        "peer_address": host.peer_address if is_other else None,
        "public_address": public if is_other else None, "port": host.port, "user": host.user,
        "key_file": str(host.key_file) if host.key_file else None, "host_key": host.host_key,
    }  # fmt: skip
    lines = [f"  {name}: {scalar(value)}\n" for name, value in said.items() if value]
    return Book(path, f"recovery:\n{''.join(lines)}\ninstances:\n", is_new=True)


def settle(entries: Sequence[Entry], base: Book, recovery: Recovery) -> Book:
    """Name each entry, give it ports, and bar the one that would not load beside the others."""
    document = None if base.is_new else base.document()
    names = set(document.instances) if document else set[str]()
    kept = allotted.read(base.path.with_name(allotted.FILE)).values()
    taken = {*recovery.taken, *_ports(document), *(port for each in kept for port in each.values())}
    draft = base
    for entry in entries:
        entry.name = _unused(entry.name, names)
        names.add(entry.name)
        _allot(entry, taken, recovery)
        draft = _tried(entry, draft)
    return draft


def _unused(name: str, names: Collection[str]) -> str:
    """
    >>> _unused("uno", {"uno", "uno_2"}), _unused("due", {"uno"})
    ('uno_3', 'due')
    >>> _unused("guard", {})
    'guard_2'
    """
    number = 2
    found = name
    while found in names or is_reserved(found):
        found, number = f"{name}_{number}", number + 1
    return found


def _ports(document: Document | None) -> list[int]:
    if document is None:
        return []
    every = [
        port for e in document.instances.values() for port in allotted.given(e.recovery).values()
    ]
    return [document.recovery.port, *every]


def _allot(entry: Entry, taken: set[int], recovery: Recovery) -> None:
    """Give an entry the first free ports, and nobody else after it."""
    try:
        found = ports.first_free(taken)
    except ports.NoPorts:
        entry.lack("recovery", "no three ports are free together: choose them by hand")
        return
    entry.put("recovery", found)
    taken |= {*found.values()}
    if not recovery.asked:
        entry.remark(
            "the recovery server was not asked which of its ports are free: "
            + (recovery.error.message if recovery.error else "name it with --recovery")
        )


def _tried(entry: Entry, draft: Book) -> Book:
    candidate = draft.with_entries([render(entry, indent=draft.indent)])
    try:
        candidate.document()
    except Refused as error:
        prefix = f"{draft.path}: "
        entry.barred = [line.removeprefix(prefix) for line in error.message.splitlines()]
        return draft
    return candidate


def instances(draft: Book, entries: Sequence[Entry]) -> dict[str, OdooInstance]:
    """Make the instances of entries that load, to be asked what `replicate` asks."""
    names = {each.name for each in entries if not each.barred}
    if not names:
        return {}
    made = inventory.instances(draft.document(), Secrets(NO_SECRETS))
    return {each.name: each for each in made if each.name in names}
