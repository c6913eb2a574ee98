"""What customers get who ask for a name: asked of the zone's own name servers, so of no cache."""

from collections.abc import Mapping

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from blocks.errors import CommandFailed
from blocks.instance import Dns
from tasks.serving.provider import KINDS, plain_content, words

ANSWER_SECONDS = 5
BROKEN = (dns.exception.DNSException, OSError)
Records = dict[str, list[str]]


def servers(provider: Dns) -> list[str]:
    """The addresses of those who are asked."""
    if provider.servers:
        return list(provider.servers)
    if provider.provider == "ddns":
        return [provider.options["ddns_server"].get_secret_value()]
    try:
        names = dns.resolver.resolve(provider.zone, "NS", lifetime=ANSWER_SECONDS)
        found = [
            str(address)
            for name in names
            for address in dns.resolver.resolve(str(name), "A", lifetime=ANSWER_SECONDS)
        ]
    except BROKEN as error:
        raise CommandFailed(
            f"the name servers of {provider.zone} cannot be found ({type(error).__name__})",
            hint="check that this machine resolves names, or set dns.servers in the inventory",
        ) from error
    return found


def astray(provider: Dns, domain: str, wanted: Mapping[str, str]) -> str:
    """Say who leads customers elsewhere than wanted, and where; nothing when nobody does."""
    silent = []
    for server in (asked := servers(provider)):
        try:
            found = ask(server, domain)
        except BROKEN as error:
            silent.append(f"{server} ({type(error).__name__})")
            continue
        if found != {kind: [wanted[kind]] if kind in wanted else [] for kind in KINDS}:
            return f"{server} says that {domain} is {words(found)}"
    if len(silent) == len(asked):
        raise CommandFailed(
            f"no name server answers for {domain}: {', '.join(silent) or 'there is none'}",
            hint="check that this machine reaches them at port 53, or name others in the "
            "inventory (dns.servers)",
        )
    return ""


def ask(server: str, domain: str) -> Records:
    """The addresses that one name server gives, by kind of record."""
    found: Records = {}
    for kind in KINDS:
        query = dns.message.make_query(domain, kind)
        said, _ = dns.query.udp_with_fallback(query, server, timeout=ANSWER_SECONDS)
        if said.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            raise OSError(dns.rcode.to_text(said.rcode()))
        wanted = dns.rdatatype.from_text(kind)
        data = (str(data) for rrset in said.answer if rrset.rdtype == wanted for data in rrset)
        found[kind] = sorted(plain_content(kind, each) for each in data)
    return found
