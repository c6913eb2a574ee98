"""The names of the customers, pointed at the place that serves."""

from typing import Any

from lexicon.client import Client
from lexicon.config import ConfigResolver

from blocks.errors import CommandFailed
from blocks.instance import Dns, OdooInstance, Place
from tasks.policy import step


@step("point the domains of {instance.name} at {place}")
def point(instance: OdooInstance, place: Place) -> str:
    """Change the records, and prove by asking the provider; return what is left to do by hand."""
    address = place.host.peer_address
    if not instance.domains:
        return "no domains in the inventory: nothing to point"
    if instance.dns is None:
        names = ", ".join(instance.domains)
        return f"by hand: point {names} at {address} (no DNS provider in the inventory)"
    for domain in instance.domains:
        _point_one(instance.dns, domain, address)
    return f"{', '.join(instance.domains)} point at {address}"


def _point_one(dns: Dns, domain: str, address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    record: dict[str, Any] = {"rtype": kind, "name": domain}
    try:
        with Client(_config(dns)) as client:
            found = client.list_records(**record)
            for each in found:
                if each["content"] != address:
                    client.delete_record(rtype=kind, name=domain, content=each["content"])
            if address not in [each["content"] for each in found]:
                client.create_record(**record, content=address)
            left = sorted(each["content"] for each in client.list_records(**record))
    except Exception as error:  # lexicon's providers raise whatever their libraries do
        raise CommandFailed(
            f"the record of {domain} could not be changed at {dns.provider}: "
            f"{type(error).__name__}",
            hint=f"point {domain} at {address} by hand, then mend dns in the inventory",
        ) from None
    if left != [address]:
        raise CommandFailed(
            f"{dns.provider} says that {domain} is {left}, not {address}",
            hint=f"point {domain} at {address} by hand",
        )


def _config(dns: Dns) -> ConfigResolver:
    options = {name: value.get_secret_value() for name, value in dns.options.items()}
    resolver = ConfigResolver()  # type: ignore[no-untyped-call]
    return resolver.with_dict(
        {
            "provider_name": dns.provider,
            "action": "list",
            "domain": dns.zone,
            "delegated": dns.zone,
            "type": "A",
            "ttl": dns.ttl,
            dns.provider: options,
        }
    )
