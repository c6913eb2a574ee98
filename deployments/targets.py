"""The servers that `relevo discover` asks: how to log in to each, and by which key it is known."""

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from blocks import host_key
from blocks.answers import understood
from blocks.errors import Refused, RelevoError
from blocks.host import Host
from blocks.host_key import ShownKey
from deployments import way_in
from deployments.inventory import Document, HostEntry
from deployments.way_in import Defaults, Way
from tasks.discovery.addresses import is_ip
from tasks.discovery.entry import Entry
from tasks.language.reader import reading, translated
from tasks.run.terminal import AGREED

AT_ONCE = 8
UNKNOWN = "192.0.2.1"  # of nobody (RFC 5737): until the server itself was asked for its address


@dataclass
class Target:
    """A server that was named, and what came of it; an error ends what is asked of it."""

    called: str
    host: Host | None = None
    way: Way | None = None
    key: ShownKey | None = None
    entries: list[Entry] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    error: RelevoError | None = None

    def reached(self) -> Host:
        assert self.host is not None, "the way in was found"
        return self.host


def side_by_side(targets: Iterable[Target], act: Callable[[Target], None]) -> None:
    """Ask some servers at a time; what goes wrong with one stops that one alone."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: _tried(each, act), targets))


def _tried(target: Target, act: Callable[[Target], None]) -> None:
    if target.error is not None:
        return
    try:
        with understood(f"what {target.called} says"):
            act(target)
    except RelevoError as error:
        target.error = error


def of_inventory(document: Document) -> list[Target]:
    """Every server of an inventory, each once."""
    found: dict[tuple[str, int], Target] = {}
    for name, entry in document.instances.items():
        found.setdefault((entry.host.address, entry.host.port), _saved(name, document))
    return list(found.values())


def admit(
    named: Sequence[str], document: Document | None, defaults: Defaults, accepted: Collection[str]
) -> list[Target]:
    """Find the way in to each server; have its key shown, and accepted by who sits here."""
    targets = [Target(each) for each in dict.fromkeys(named)]
    side_by_side(targets, lambda each: _find_way(each, document, defaults))
    firsts = {(each.way.address, each.way.port): each for each in targets[::-1] if each.way}
    side_by_side(firsts.values(), _ask_key)
    known = {*accepted}
    for each in (target for target in targets if target.way):
        assert each.way is not None, "they were chosen by it"
        first = firsts[each.way.address, each.way.port]
        each.key, each.error = first.key, each.error or first.error
        _tried(each, lambda target: _accept(target, known))
    return targets


def _find_way(target: Target, document: Document | None, defaults: Defaults) -> None:
    """Take a server of the inventory as that says it; of another one, ask ssh."""
    if document and target.called in document.instances:
        target.host = _saved(target.called, document).host
        return
    way = way_in.find(target.called, defaults)
    for name, entry in document.instances.items() if document else ():
        if (entry.host.address, entry.host.port) == (way.address, way.port):
            target.host = _saved(name, document).host if document else None
            return
    target.way, target.called = way, way.called


def _saved(name: str, document: Document) -> Target:
    return Target(name, document.instances[name].host.block(name))


def _ask_key(target: Target) -> None:
    if target.way is not None:
        target.key = host_key.ask(target.way.address, target.way.port)


def _accept(target: Target, accepted: set[str]) -> None:
    """Require that somebody knows a key: known_hosts, the command line, or who sits here.

    One question after the other, and none twice.
    """
    way, key = target.way, target.key
    if way is None or key is None:
        return
    if not (key.known or key.fingerprint in accepted):
        _have_accepted(way, key)
        accepted.add(key.fingerprint)
    target.host = _host(way, key)


def _have_accepted(way: Way, key: ShownKey) -> None:
    kind = key.line.partition(" ")[0]
    compare = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
    if not sys.stdin.isatty():
        raise Refused(
            f"the host key of {way} is not known: {kind} {key.fingerprint}",
            hint=f"compare it there ({compare}), then add --accept-host-key {key.fingerprint}",
        )
    lines = (
        f"{way} shows the host key {kind} {key.fingerprint}",
        f"Compare it there: {compare}",
        "Is it this one? Type yes: ",
    )
    print("\n".join(map(translated, lines)), end="", file=sys.stderr, flush=True)  # noqa: T201
    if sys.stdin.readline().strip().lower() not in {"yes", *AGREED[reading()]}:
        raise Refused(
            f"the host key of {way} was not accepted", hint="run this again to answer yes"
        )


def _host(way: Way, key: ShownKey) -> Host:
    """Make the host of a way in, with the key that somebody has accepted."""
    name = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in way.called)
    return Host(
        name=name.lstrip("._-")[:64] or "host", address=way.address,
        peer_address=way.address if is_ip(way.address) else UNKNOWN,
        port=way.port, user=way.user, key_file=way.key_file, host_key=key.line,
    )  # fmt: skip


def defaults(document: Document | None, key_file: Path | None) -> Defaults:
    """What the command line says, else what the inventory says of all its servers."""
    given = document.defaults.get("host", {}) if document else {}
    entry = HostEntry.model_validate({"address": UNKNOWN, **given})
    user = entry.user if "user" in given else ""
    return Defaults(user=user, port=entry.port, key_file=key_file or entry.key_file)


def fingerprints(printed: Sequence[str]) -> list[str]:
    """Take fingerprints as ssh-keygen -l prints them.

    >>> fingerprints(["SHA256:abc", "abc="])
    ['SHA256:abc', 'SHA256:abc']
    """
    return [f"SHA256:{word.removeprefix('SHA256:').rstrip('=')}" for word in printed]
