"""The DNS provider of an instance, spoken to by dns-lexicon."""

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeVar

from blocks.errors import CommandFailed
from blocks.instance import Dns
from tasks.run.wait import until

if TYPE_CHECKING:
    from lexicon.client import Client

T = TypeVar("T")
ANSWER_SECONDS = 10
PROVIDER_SECONDS = 90
SETTLE_SECONDS = 15
KINDS = ("A", "AAAA")
TRIED = "relevo-was-here"
# lexicon looks for the list of public suffixes on the Internet, and has one of its own if it
# cannot be had; in a disaster nobody waits for that.
os.environ.setdefault("TLDEXTRACT_CACHE_TIMEOUT", "2")


def addresses(provider: Dns, domain: str) -> dict[str, list[str]]:
    """What the provider has for a name, by kind of record."""

    def act() -> dict[str, list[str]]:
        with _client(provider) as client:
            return {kind: _records(provider, client, kind, domain) for kind in KINDS}

    with _explained(f"{provider.provider} did not return the records of {domain}"):
        return _in_time(act)


def change(provider: Dns, domain: str, wanted: Mapping[str, str]) -> list[str]:
    """Let a name have these addresses, by kind of record, and no others; give what was removed.

    What is wanted is made before what is there is removed: a provider that fails half way leaves
    a name that leads somewhere.
    """

    def act() -> list[str]:
        with _client(provider) as client:
            had = {kind: _records(provider, client, kind, domain) for kind in KINDS}
            for kind, address in wanted.items():
                if address not in had[kind]:
                    client.create_record(rtype=kind, name=domain, content=address)
                    _wait_for(provider, client, kind, domain, address)
            gone = [(kind, old) for kind in KINDS for old in had[kind] if old != wanted.get(kind)]
            for kind, old in gone:
                client.delete_record(rtype=kind, name=domain, content=old)
            left = {kind: _records(provider, client, kind, domain) for kind in KINDS}
        asked_for = {kind: [wanted[kind]] if kind in wanted else [] for kind in KINDS}
        if left != asked_for:
            raise CommandFailed(f"{provider.provider} says that {domain} is {words(left)}")
        return [f"{kind} {old}" for kind, old in gone]

    with _explained(f"{provider.provider} did not change the records of {domain}"):
        return _in_time(act)


def rehearse(provider: Dns, domain: str, wanted: Mapping[str, str]) -> str:
    """Try that the provider lets us write, by a record that nobody reads; give a remark.

    Where it lets us write no other name, the address that is there is made once more.
    """

    def act() -> str:
        name = f"_relevo.{domain}"
        with _client(provider) as client:
            try:
                try:
                    client.create_record(rtype="TXT", name=name, content=TRIED)
                    _wait_for(provider, client, "TXT", name, TRIED)
                finally:  # it may have been made, and seen too late
                    client.delete_record(rtype="TXT", name=name, content=TRIED)
            except Exception:  # noqa: BLE001  # lexicon's providers raise whatever their libraries do
                kind, address = next(iter(wanted.items()))
                client.create_record(rtype=kind, name=domain, content=address)
                return (
                    f"{provider.provider} does not let Relevo write {name}: only a second record "
                    f"of {domain} could be tested"
                )
        return ""

    with _explained(f"{provider.provider} does not let Relevo change the records of {domain}"):
        return _in_time(act)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except CommandFailed:
        raise
    except Exception as error:  # noqa: BLE001  # lexicon's providers raise whatever their libraries do
        # Its message may hold a token, so only its kind is shown.
        raise CommandFailed(f"{what} ({type(error).__name__})") from None


def _wait_for(provider: Dns, client: Any, kind: str, name: str, content: str) -> None:
    """Require that a record is there; a provider may take a moment, or say yes and do nothing."""
    until(
        lambda: content in _records(provider, client, kind, name),
        what=f"{provider.provider} has {kind} of {name}", timeout_seconds=SETTLE_SECONDS, every=1,
    )  # fmt: skip


def _in_time(ask: Callable[[], T]) -> T:
    """Wait for a provider no longer than customers can; lexicon itself would wait for ever."""
    said: queue.Queue[T | Exception] = queue.Queue(1)

    def hear() -> None:
        try:
            said.put(ask())
        except Exception as error:  # noqa: BLE001  # it is raised where it is waited for
            said.put(error)

    threading.Thread(target=hear, daemon=True).start()
    try:
        found = said.get(timeout=PROVIDER_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer for {PROVIDER_SECONDS} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def plain_content(kind: str, content: str) -> str:
    """Write what a record holds in one way: providers shorten and quote differently.

    >>> plain_content("AAAA", "2001:DB8:0::1"), plain_content("TXT", '"here"')
    ('2001:db8::1', 'here')
    """
    return str(ip_address(content)) if kind in KINDS else content.strip('"')


def words(found: Mapping[str, list[str]]) -> str:
    """Say addresses by kind.

    >>> words({"A": ["192.0.2.1"], "AAAA": []}), words({"A": []})
    ('A 192.0.2.1', 'nowhere')
    """
    said = [f"{kind} {', '.join(addresses)}" for kind, addresses in found.items() if addresses]
    return " and ".join(said) or "nowhere"


def _records(provider: Dns, client: Any, kind: str, name: str) -> list[str]:
    """What the provider has for a name."""
    if provider.provider != "ddns":
        found = [each["content"] for each in client.list_records(rtype=kind, name=name)]
        return sorted(plain_content(kind, each) for each in found)
    import dns.message  # noqa: PLC0415  # which no failover waits for
    import dns.query  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415

    # lexicon 3.25 cannot list with RFC 2136 (its _identifier takes one argument, and gets three).
    server = provider.options["ddns_server"].get_secret_value()
    query = dns.message.make_query(name, kind)
    said = dns.query.tcp(query, server, timeout=ANSWER_SECONDS)
    if said.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise CommandFailed(f"{server} answers {dns.rcode.to_text(said.rcode())} for {name}")
    wanted = dns.rdatatype.from_text(kind)
    data = (str(data) for rrset in said.answer if rrset.rdtype == wanted for data in rrset)
    return sorted(plain_content(kind, each) for each in data)


def _client(provider: Dns) -> "Client":
    """Make lexicon's client, for the very zone that the inventory names.

    Left to itself it guesses the zone from the list of public suffixes, and a zone that is
    delegated or private is guessed wrong.
    """
    # It takes 0.2 s to import, which a failover has better use for than its own beginning.
    from lexicon.client import Client  # noqa: PLC0415
    from lexicon.config import ConfigResolver, DictConfigSource  # noqa: PLC0415

    options = {name: value.get_secret_value() for name, value in provider.options.items()}
    resolver = ConfigResolver()  # type: ignore[no-untyped-call]
    facts = {
        "provider_name": provider.provider,
        "action": "list",
        "domain": provider.zone,
        "type": "A",
        "ttl": provider.ttl,
        provider.provider: {**options, "domain": provider.zone},
    }
    client = Client(resolver.with_dict(facts))
    client.config.add_config_source(DictConfigSource({"domain": provider.zone}), 0)
    return client
