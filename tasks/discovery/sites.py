"""The sites of nginx that lead to a port: their names, their certificates, and what is unclear."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from tasks.serving.nginx_read import FOLDER, Directive

Pair: TypeAlias = tuple[str, str]
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
NOBODY = {"", "_", "localhost", "default_server", "default", "catchall"}
# Several names or one with a wildcard: what an inventory cannot say.
PATTERN = re.compile(r"[*~]|^\.")
NUMBER = re.compile(r"[0-9.]+|.*:.*")


@dataclass(frozen=True)
class Site:
    """A block `server`: its names, its certificate, whether it leads to Odoo or sends elsewhere."""

    names: tuple[str, ...]
    pair: Pair | None
    leads: bool
    sends_to: str = ""
    unclear: str = ""


@dataclass(frozen=True)
class Sites:
    """What customers of one Odoo reach: each domain with its certificate, and remarks."""

    domains: dict[str, Pair | None]
    remarks: tuple[str, ...] = ()

    @property
    def certificate(self) -> Pair | None:
        """The certificate of most domains; none while some domain has none at all."""
        pairs = [pair for pair in self.domains.values() if pair]
        if not pairs or len(pairs) < len(self.domains):
            return None
        return Counter(pairs).most_common(1)[0][0]

    @property
    def certificates(self) -> dict[str, Pair]:
        """The domains that have another one."""
        usual = self.certificate
        return {name: pair for name, pair in self.domains.items() if pair and pair != usual}


def find(configuration: Sequence[Directive], ports: Collection[int], own: Collection[str]) -> Sites:
    """Find the domains whose requests nginx brings to one of some ports of this server."""
    every = list(_sites(configuration, ports, {*LOOPBACK, *own}))
    domains: dict[str, Pair | None] = {}
    remarks: list[str] = []
    for site in every:
        if site.leads:
            _take(site, domains, remarks)
    for site in every:
        remarks += _beside(site, domains)
    return Sites(domains, tuple(dict.fromkeys(remarks)))


def _take(site: Site, domains: dict[str, Pair | None], remarks: list[str]) -> None:
    for name in site.names:
        if PATTERN.search(name):
            remarks.append(
                f"nginx leads {name} to Odoo, which is a pattern: list each name that customers "
                "use in domains"
            )
        elif name not in NOBODY and not NUMBER.fullmatch(name):
            domains[name.lower()] = site.pair or domains.get(name.lower())
    if site.unclear:
        remarks.append(site.unclear)


def _beside(site: Site, domains: Collection[str]) -> Iterator[str]:
    """Say what a person has to decide of sites that lead elsewhere."""
    others = [n for n in site.names if n not in NOBODY and n.lower() not in domains]
    if site.leads or not others:
        return
    if to := next((domain for domain in domains if domain in site.sends_to), ""):
        yield (
            f"nginx sends who asks for {', '.join(others)} to {to}: add it to domains if customers "
            "use it"
        )
    elif site.unclear:
        yield f"{', '.join(others)}: {site.unclear}"


def _sites(
    configuration: Sequence[Directive], ports: Collection[int], own: Collection[str]
) -> Iterator[Site]:
    for http in (each for each in configuration if each.name == "http"):
        upstreams = {
            u.words[0]: _servers(u) for u in http.block if u.name == "upstream" and u.words
        }
        above = _pair(http.block)
        for server in (each for each in http.block if each.name == "server"):
            yield _site(server, upstreams, above, ports, own)


def _site(
    server: Directive, upstreams: dict[str, list[str]], above: Pair | None,
    ports: Collection[int], own: Collection[str],
) -> Site:  # fmt: skip
    inside = list(_all(server.block))
    targets = [each.words[0] for each in inside if each.name == "proxy_pass" and each.words]
    names = tuple(w for each in server.block if each.name == "server_name" for w in each.words)
    leads = any(_leads(target, upstreams, ports, own) for target in targets)
    varies = next((target for target in targets if "$" in target), "")
    pair: Pair | None = (_pair(server.block) or above) if _speaks_tls(server) else None
    unclear = ""
    if varies and not leads:
        unclear = f"nginx chooses at each request where it leads (proxy_pass {varies})"
    if pair and any("$" in path for path in pair):
        unclear = f"nginx chooses its certificate at each request ({pair[0]})"
        pair = None
    sends_to = " ".join(w for d in inside if d.name in {"return", "rewrite"} for w in d.words)
    return Site(names, pair, leads, "" if targets else sends_to, unclear)


def _speaks_tls(server: Directive) -> bool:
    """Tell whether a site shows its certificate: `listen 443 ssl`, or `ssl on` in older files."""
    said = [(each.name, each.words) for each in server.block]
    return ("ssl", ("on",)) in said or any(n == "listen" and "ssl" in words for n, words in said)


def _all(block: Sequence[Directive]) -> Iterator[Directive]:
    for each in block:
        yield each
        yield from _all(each.block)


def _servers(upstream: Directive) -> list[str]:
    return [each.words[0] for each in upstream.block if each.name == "server" and each.words]


def _pair(block: Sequence[Directive]) -> Pair | None:
    """The first certificate of a block with its key; a path is below nginx's own folder."""
    found: dict[str, str] = {}
    for each in block:
        if each.name in {"ssl_certificate", "ssl_certificate_key"} and each.words:
            found.setdefault(each.name, str(FOLDER / each.words[0]))
    chain, key = found.get("ssl_certificate"), found.get("ssl_certificate_key")
    return (chain, key) if chain and key else None


def _leads(
    target: str, upstreams: dict[str, list[str]], ports: Collection[int], own: Collection[str]
) -> bool:
    """Tell whether a proxy_pass ends at one of some ports of this server.

    >>> _leads("http://odoo", {"odoo": ["127.0.0.1:8069"]}, {8069}, {"127.0.0.1"})
    True
    >>> _leads("http://b:8069/", {}, {8069}, {"127.0.0.1"}), _leads("http://$x", {}, {80}, ())
    (False, False)
    """
    place = urlsplit(target).netloc if "//" in target else target
    places = upstreams.get(place, [place])
    return any(_is_ours(each, ports, own) for each in places)


def _is_ours(place: str, ports: Collection[int], own: Collection[str]) -> bool:
    host, _, port = place.rpartition(":")
    if not port.isdecimal() or int(port) not in ports:
        return False
    return host.strip("[]") in own or host.startswith("127.")
