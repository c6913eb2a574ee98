"""The names of the customers, pointed at the place that serves."""

import os
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from blocks.errors import CommandFailed
from blocks.instance import Dns, OdooInstance, Place
from blocks.lease import require_lease
from tasks.policy import log, step

if TYPE_CHECKING:
    from lexicon.client import Client

ANSWER_SECONDS = 10
PROVIDER_SECONDS = 90
BY_HAND, FAILED = "by hand", "not done"
# lexicon looks for the list of public suffixes on the Internet, and has one of its own if it
# cannot be had; in a disaster nobody waits for that.
os.environ.setdefault("TLDEXTRACT_CACHE_TIMEOUT", "2")


@step("point the domains of {instance.name} at {place}")
def point(instance: OdooInstance, place: Place) -> str:
    """Change the records, and prove it by asking; say what is left to do by hand.

    Customers are served already, so a provider that fails does not undo anything: the sentence
    stands in the report, and `left` says that it is not done.
    """
    address = place.host.shown_address
    names = ", ".join(instance.domains)
    if not instance.domains:
        return "no domains in the inventory: nothing to point"
    if instance.dns is None:
        return f"{BY_HAND}: point {names} at {address} (no DNS provider in the inventory)"
    try:
        for domain in instance.domains:
            _point_one(instance.dns, domain, address)
    except CommandFailed as error:
        log().error("%s", error)
        return f"{FAILED}: {error.message}. By hand: point {names} at {address}"
    return f"{names}: {address}"


def left(said: str) -> str:
    """What is left to do after `point`; nothing when it was done, or is a person's to do."""
    return said if said.startswith(FAILED) else ""


def _point_one(provider: Dns, domain: str, address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    require_lease()  # a provider does not judge whose turn it is
    try:
        left = _in_time(lambda: _change(provider, kind, domain, address))
    except Exception as error:  # noqa: BLE001  # lexicon's providers raise whatever their libraries do
        # Its message may hold a token, so only its kind is shown.
        kind_of_error = type(error).__name__
        raise CommandFailed(
            f"{provider.provider} did not change the record of {domain} ({kind_of_error})"
        ) from None
    if left != [address]:
        raise CommandFailed(f"{provider.provider} says that {domain} is {left}, not {address}")


def _change(provider: Dns, kind: str, domain: str, address: str) -> list[str]:
    """Change a record, if it has to be; give what the provider has then."""
    with _client(provider) as client:
        if (known := _records(provider, client, kind, domain)) == [address]:
            return known
        client.delete_record(rtype=kind, name=domain)
        client.create_record(rtype=kind, name=domain, content=address)
        return _records(provider, client, kind, domain)


def _in_time(ask: Callable[[], list[str]]) -> list[str]:
    """Wait for a provider no longer than customers can; lexicon itself would wait for ever."""
    said: queue.Queue[list[str] | Exception] = queue.Queue(1)

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


def _records(provider: Dns, client: Any, kind: str, domain: str) -> list[str]:
    """What the provider has for a name."""
    if provider.provider != "ddns":
        return sorted(each["content"] for each in client.list_records(rtype=kind, name=domain))
    # lexicon 3.25 cannot list with RFC 2136 (its _identifier takes one argument, and gets three).
    server = provider.options["ddns_server"].get_secret_value()
    query = dns.message.make_query(domain, kind)
    answer = dns.query.tcp(query, server, timeout=ANSWER_SECONDS).answer
    wanted = dns.rdatatype.from_text(kind)
    return sorted(str(data) for rrset in answer if rrset.rdtype == wanted for data in rrset)


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
