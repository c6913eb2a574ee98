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
# Who may come in, and how often.
LIMITS = {
    "allow", "deny", "satisfy", "auth_basic", "auth_request", "limit_req", "limit_conn",
    "ssl_verify_client",
}  # fmt: skip
SWITCHED_OFF = ("off",)
REFUSALS = {"401", "403", "404", "410", "444"}
# What Odoo is told of a request, or may be without loss.
USUAL_HEADERS = {
    "host", "upgrade", "connection", "accept-encoding", "proxy", "x-real-ip", "x-client-ip",
    "x-scheme", "x-url-scheme", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
    "x-forwarded-proto", "x-forwarded-protocol", "x-forwarded-server", "x-forwarded-ssl",
}  # fmt: skip
# Locations in which a refusal keeps nobody from Odoo: files with a dot, and answers to certbot.
OF_NO_ODOO = re.compile(r"/\\?\.")
BODY_MB = 512  # as the recovery host's site takes (nginx.py)
SIZE = re.compile(r"(\d+)([kmg]?)", re.IGNORECASE)


@dataclass(frozen=True)
class Site:
    """A block `server`: its names, its certificate, whether it leads to Odoo or sends elsewhere."""

    names: tuple[str, ...]
    pair: Pair | None
    leads: bool
    sends_to: str = ""
    unclear: str = ""
    rules: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class Beside:
    """What the sites that lead to an Odoo have, and its instance has not."""

    names: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def beside(
    configuration: Sequence[Directive], ports: Collection[int], own: Collection[str],
    domains: Collection[str],
) -> Beside:  # fmt: skip
    """Name the domains that nobody listed, and the rules that hold for those that are."""
    found = [each for each in _sites(configuration, ports, {*LOOPBACK, *own}) if each.leads]
    known = {each.lower() for each in domains}
    names = {name.lower() for each in found for name in each.names if _is_domain(name)}
    listed = [each for each in found if known & {name.lower() for name in each.names}]
    every = dict.fromkeys(rule for each in listed for rule in each.rules)
    return Beside(tuple(sorted(names - known)), tuple(every))


def _is_domain(name: str) -> bool:
    return not (PATTERN.search(name) or name in NOBODY or NUMBER.fullmatch(name))


def rules(block: Sequence[Directive], where: str = "") -> Iterator[str]:
    r"""Name what a site does beside leading requests to Odoo.

    >>> from tasks.serving.nginx_read import parse
    >>> list(rules(parse("location /web/database { deny all; } proxy_set_header X-Odoo-dbfilter a;"
    ...     r"location ~ /\.ht { deny all; } auth_basic off; client_max_body_size 2g;")))
    ['deny in location /web/database', 'header X-Odoo-dbfilter', 'client_max_body_size 2g']
    """
    for each in block:
        if each.name == "location":
            if not OF_NO_ODOO.search(" ".join(each.words)):
                yield from rules(each.block, f" in location {' '.join(each.words)}")
        elif each.block:
            yield from rules(each.block, where or f" in {each.name} {' '.join(each.words)}")
        elif said := _rule(each, where):
            yield said


def _rule(said: Directive, where: str) -> str:
    """
    >>> _rule(Directive("return", ("403",)), " in location /web/database")
    'return 403 in location /web/database'
    >>> _rule(Directive("proxy_set_header", ("Host", "shop")), ""), _rule(Directive("root"), "")
    ('header Host', '')
    """
    first = said.words[0] if said.words else ""
    if said.name == "proxy_set_header":
        fixed = first.lower() == "host" and "$" not in "".join(said.words[1:])
        return f"header {first}" if fixed or first.lower() not in USUAL_HEADERS else ""
    if said.name == "client_max_body_size":
        return f"{said.name} {first}" if _is_large(first) else ""
    if said.name == "return":
        return f"return {first}{where}" if where and first in REFUSALS else ""
    limits = said.name in LIMITS and said.words != SWITCHED_OFF
    return f"{said.name}{where}" if limits else ""


def _is_large(size: str) -> bool:
    """
    >>> _is_large("0"), _is_large("200M"), _is_large("1g")
    (True, False, True)
    """
    if not (found := SIZE.fullmatch(size)):
        return False
    factor = {"": 1 / 1048576, "k": 1 / 1024, "m": 1, "g": 1024}[found[2].lower()]
    return not int(found[1]) or int(found[1]) * factor > BODY_MB


def _take(site: Site, domains: dict[str, Pair | None], remarks: list[str]) -> None:
    for name in site.names:
        if PATTERN.search(name):
            remarks.append(
                f"nginx sends {name} to Odoo, and that is a pattern: list each name that customers "
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
    own = tuple(dict.fromkeys(rules(server.block))) if leads else ()
    return Site(names, pair, leads, "" if targets else sends_to, unclear, own)


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
