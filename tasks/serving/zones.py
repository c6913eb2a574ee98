"""Where the names of customers lead and who answers for them, asked of DNS by this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.resolver

ANSWER_SECONDS = 4
MOST_NAMES = 20
BROKEN = (dns.exception.DNSException, OSError)
# Name servers of providers, and the provider's name in dns-lexicon.
PROVIDERS = {
    "awsdns-": "route53", "azure-dns.": "azure", "cloudflare.com": "cloudflare",
    "digitalocean.com": "digitalocean", "dnsimple.com": "dnsimple", "dnsmadeeasy.com":
    "dnsmadeeasy", "domaincontrol.com": "godaddy", "gandi.net": "gandi", "googledomains.com":
    "googleclouddns", "hetzner.": "hetzner", "first-ns.de": "hetzner", "hostinger.": "hostinger",
    "inwx.": "inwx", "ionos.": "ionos", "ui-dns.": "ionos", "linode.com": "linode4",
    "registrar-servers.com": "namecheap", "name.com": "namecom", "nsone.net": "nsone",
    "ovh.net": "ovh", "anycast.me": "ovh", "porkbun.com": "porkbun", "transip.": "transip",
    "vultr.com": "vultr",
}  # fmt: skip


@dataclass(frozen=True)
class Names:
    """Addresses to which the names lead, the zone that holds them, and its name servers."""

    addresses: tuple[str, ...] = ()
    addresses6: tuple[str, ...] = ()
    zone: str = ""
    servers: tuple[str, ...] = field(default=())
    remark: str = ""


def look_up(domains: Sequence[str]) -> Names:
    """Ask for some domains; a resolver that is silent is asked once, and said."""
    if not domains:
        return Names()
    try:
        found = [addresses(name, "A") for name in domains[:MOST_NAMES]]
        found6 = [addresses(name, "AAAA") for name in domains[:MOST_NAMES]]
        zone, servers = _zone(domains[0])
    except BROKEN as error:
        return Names(remark=f"DNS does not answer this machine ({type(error).__name__}), so where "
                     f"{domains[0]} leads is not known")  # fmt: skip
    return Names(_joined(found), _joined(found6), zone, servers)


def _joined(found: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address for each in found for address in each))


def addresses(name: str, kind: str) -> list[str]:
    """What a name has of one kind; a name that is nobody's has nothing."""
    try:
        said = dns.resolver.resolve(name, kind, lifetime=ANSWER_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return sorted(str(each) for each in said)


def _zone(domain: str) -> tuple[str, tuple[str, ...]]:
    zone = dns.resolver.zone_for_name(domain, lifetime=ANSWER_SECONDS)
    if zone == dns.name.root:
        return "", ()
    said = dns.resolver.resolve(zone, "NS", lifetime=ANSWER_SECONDS)
    return zone.to_text(omit_final_dot=True), tuple(sorted(str(each) for each in said))


def provider(servers: Sequence[str]) -> str:
    """Guess the provider by the names of its servers.

    >>> provider(["lia.ns.cloudflare.com."]), provider(["ns1.example.com."])
    ('cloudflare', '')
    """
    named = " ".join(servers).lower()
    return next((name for part, name in PROVIDERS.items() if part in named), "")
