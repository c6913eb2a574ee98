"""`relevo discover`: entries of the inventory, written from live servers. It only asks them."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.names import Language
from blocks.plain import plain
from blocks.shell import Shell
from blocks.version import VERSION
from deployments import draft, drift, machine, targets
from deployments.book import Book
from deployments.draft import Recovery
from deployments.inventory import Document
from deployments.machine_setup import Asked, DiscoverDocument, Discovered, Missing
from deployments.settings import Settings
from deployments.targets import Target
from deployments.way_in import Defaults
from tasks.discovery import find, objections, server
from tasks.discovery.entry import Entry, render
from tasks.language.catalogue import spoken
from tasks.language.reader import read_in, reading, translated

DONE, LEFT, UNCLEAR, SILENT = 0, 1, 2, 5
NEW = Path("the new inventory")
AS_IT_WAS = "as it was"


def run(given: argparse.Namespace, settings: Settings, asked: Language | None) -> int:
    """Ask all servers; print their entries, or append them to a file; say what is left to do."""
    book = _book(given, settings)
    document = book.document() if book else None
    with read_in(asked or (document.language if document else "en")):
        try:
            return _run(given, book, document)
        except RelevoError as error:
            _say(f"relevo: {spoken(error, reading())}")
            if isinstance(error, Unreachable):
                return SILENT
            return LEFT if isinstance(error, CommandFailed) else UNCLEAR


def _run(given: argparse.Namespace, book: Book | None, document: Document | None) -> int:
    told = targets.defaults(document, given.key_file)
    accepted = targets.fingerprints(given.accept_host_key)
    asked = _targets(given.hosts, document, told, accepted)
    recovery = _recovery(given.recovery, document, told, accepted)
    if given.write and not (book or recovery.host):
        what = f"{given.write} would be an inventory without a recovery server"
        raise Refused(what, hint="add --recovery HOST")
    targets.side_by_side(asked, lambda each: _find(each, document, recovery))
    base = book or draft.blank(Path(given.write or NEW), recovery)
    new = [entry for each in asked for entry in each.entries]
    made = draft.instances(draft.settle(new, base, recovery), new)
    targets.side_by_side(asked, lambda each: _object(each, made, recovery))
    _say_errors(asked, recovery)
    if given.json:
        written = bool(given.write) and _write(given.write, base, new)
        with read_in("en"):  # a program
            machine.say(_answer(asked, base, given.write if written else None))
        return _code(asked, recovery)
    _say_drift(asked)
    _put(given.write, base, new, recovery)
    return _code(asked, recovery)


def _book(given: argparse.Namespace, settings: Settings) -> Book | None:
    """The inventory that was named, or the file to append to, or the first that is there."""
    named = given.inventory or given.write
    path = Path(named) if named else settings.inventory_path()
    if given.write and Path(given.write) != path:
        raise Refused(
            f"--write {given.write} is another file than the inventory {path}",
            hint="name one of them: entries are held against the inventory to which they are added",
        )
    if path.exists() or (given.inventory and not given.write):
        return Book.open(path)
    return None


def _targets(
    hosts: Sequence[str], document: Document | None, told: Defaults, accepted: Sequence[str]
) -> list[Target]:
    if hosts:
        return targets.admit(hosts, document, told, accepted)
    if document is None:
        raise Refused("no server is named", hint="run relevo discover HOST... --recovery HOST")
    return targets.of_inventory(document)


def _recovery(
    named: str | None, document: Document | None, told: Defaults, accepted: Sequence[str]
) -> Recovery:
    """Ask the recovery server for its address and its ports.

    One that was named has to answer; without that of the inventory the search goes on.
    """
    if named:
        found = targets.admit([named], None, told, accepted)[0]
        if found.error:
            raise found.error
        host = found.reached()
    elif document:
        host = document.recovery.block("recovery")
    else:
        return Recovery()
    try:
        with understood(f"what {host.name} says"):
            taken = server.taken_ports(host.shell())
            host = server.introduced(host) if named else host
    except RelevoError as error:
        if named:
            raise
        return Recovery(host, error=error)
    return Recovery(host, frozenset({*taken, host.port}))


def _find(target: Target, document: Document | None, recovery: Recovery) -> None:
    """Describe what runs there; what the inventory has already is compared with it."""
    host = target.reached()
    peer = recovery.host.peer_address if recovery.host else ""
    found = find.find(host, called=target.called, peer=peer)
    known = _known(document, target) if document else {}
    for entry in found:
        if name := _match(entry, known):
            target.drift += _compared(entry, name, known.pop(name), host.shell())
        else:
            target.entries.append(entry)
    target.drift += [f"{name}: its Odoo was not found on {target.called}" for name in known]


def _compared(entry: Entry, name: str, inventory: Mapping[str, Any], shell: Shell) -> list[str]:
    """Say in which fields a server contradicts the inventory, and which it does not show."""
    differs = drift.really(shell, inventory["odoo"]["user"], drift.find(entry, inventory))
    lines = [f"{name}: {each}" for each in differs]
    lines += [f"{name}: {each}" for each in drift.unseen(entry)]
    return lines or [f"{name}: {AS_IT_WAS}"]


def _known(document: Document, target: Target) -> dict[str, dict[str, Any]]:
    """The instances that the inventory has on a server."""
    host = target.reached()
    return {
        name: entry.model_dump(mode="json")
        for name, entry in document.instances.items()
        if (entry.host.address, entry.host.port) == (host.address, host.port)
    }


def _match(entry: Entry, known: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the instance that an entry is of: by its unit, its port or its cluster."""
    for group, fields in (("odoo", ("unit",)), ("odoo", ("http_port",)),
                          ("postgres", ("version", "name"))):  # fmt: skip
        mine = entry.values.get(group, {})
        for name, each in known.items():
            if all(field in mine and mine[field] == each[group][field] for field in fields):
                return name
    return ""


def _object(target: Target, made: Mapping[str, OdooInstance], recovery: Recovery) -> None:
    """Ask what `replicate` would refuse of each new entry."""
    ask = objections.at_both if recovery.asked else objections.at_origin
    for entry in target.entries:
        if instance := made.get(entry.name):
            try:
                for objection in ask(instance):
                    entry.remark(objection)
            except Unreachable as error:
                entry.remark(f"not all that replicate asks could be asked: {error.message}")


def _say_errors(asked: Sequence[Target], recovery: Recovery) -> None:
    """Say beside the entries what went wrong."""
    found = [(each.called, each.error) for each in asked]
    found += [(recovery.host.name, recovery.error)] if recovery.host else []
    for called, error in found:
        if error:
            _say(f"relevo: {called}: {spoken(error, reading())}")


def _say_drift(asked: Sequence[Target]) -> None:
    for each in asked:
        for line in each.drift:
            *where, what = line.split(": ", 2)  # an instance, and maybe a field of it
            _print(f"# {': '.join((*where, translated(what)))}")


def _put(named: str | None, base: Book, new: Sequence[Entry], recovery: Recovery) -> None:
    """Print the entries, or add them to the file that was named."""
    if not new or (named and _write(named, base, new)):
        return
    for line in _head(base, recovery):
        _print(line)
    _print("".join(_headed(entry, base.indent) for entry in new).rstrip("\n"))


def _write(named: str, base: Book, new: Sequence[Entry]) -> bool:
    """Add the entries to a file, unless none of them would load."""
    if not new:
        return False
    if all(entry.barred for entry in new):
        left = translated(f"{named} was left as it is: no entry would load")
        _say(f"relevo: {left}")
        return False
    whole = base.with_entries([_headed(entry, base.indent) for entry in new])
    whole.document()
    whole.save(base)
    names = ", ".join(each.name for each in new if not each.barred)
    _say(translated(f"added to {named}: {names}"))
    return True


def _answer(asked: Sequence[Target], base: Book, written: str | None) -> DiscoverDocument:
    """What was found, as fields."""
    servers = (
        Asked(
            server=each.called,
            error=each.error.message if each.error else None,
            entries=tuple(_discovered(entry, base.indent) for entry in each.entries),
            drift=tuple(line for line in each.drift if not line.endswith(AS_IT_WAS)),
        )
        for each in asked
    )
    return DiscoverDocument(servers=tuple(servers), written_to=written)


def _discovered(entry: Entry, indent: int) -> Discovered:
    proposed = entry.proposed
    return Discovered(
        instance=entry.name,
        loads=not entry.barred,
        complete=entry.complete,
        missing=tuple(
            Missing(field=field, why=why, proposed=proposed.get(field))
            for field, why in entry.missing.items()
        ),
        remarks=(*entry.barred, *entry.remarks),
        yaml=_headed(entry, indent),
    )


def _headed(entry: Entry, indent: int) -> str:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    found = translated(f"found by relevo {VERSION} on {day}")
    return f"{' ' * indent}# {found}\n{render(entry, indent=indent)}"


def _head(base: Book, recovery: Recovery) -> Iterator[str]:
    """What stands above the entries, so that all that is printed is YAML."""
    if not base.is_new:
        added = translated(f"to be added to {base.path} (--write does that)")
        yield f"# {added}"
        yield "instances:"
    elif recovery.host is None:
        yield "# recovery: not known. Run this with --recovery HOST, or write its entry here."
        yield "instances:"
    else:
        yield base.text.rstrip("\n")


def _code(asked: Sequence[Target], recovery: Recovery) -> int:
    errors = [*filter(None, (recovery.error, *(each.error for each in asked)))]
    if any(isinstance(each, Unreachable) for each in errors):
        return SILENT
    as_it_was = all(line.endswith(AS_IT_WAS) for each in asked for line in each.drift)
    complete = all(entry.complete for each in asked for entry in each.entries)
    return DONE if as_it_was and complete and not errors else LEFT


def _say(text: str) -> None:
    print(plain(text, lines=True), file=sys.stderr, flush=True)  # noqa: T201


def _print(text: str) -> None:
    print(plain(text, lines=True), flush=True)  # noqa: T201
