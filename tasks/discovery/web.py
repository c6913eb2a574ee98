"""What customers reach: the sites of nginx that lead to an Odoo, their certificates and names."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from pydantic import TypeAdapter, ValidationError

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused
from blocks.instance import Certificate
from blocks.names import DomainName
from blocks.shell import Shell
from tasks.discovery import addresses
from tasks.discovery.addresses import Addresses
from tasks.discovery.entry import Entry
from tasks.discovery.listening import Listener
from tasks.discovery.program import Program
from tasks.host import files
from tasks.serving import nginx_read, sites, x509, zones
from tasks.serving.nginx_read import Directive
from tasks.serving.renewal import LEAST_DAYS
from tasks.serving.sites import Pair, Sites

ASK_SECONDS, MOST_BYTES = 30, 4 << 20
ABSENT = 127  # as a shell says of a command
WEB = (80, 443)
DOMAIN: TypeAdapter[str] = TypeAdapter(DomainName)


def configuration(shell: Shell, listeners: Sequence[Listener]) -> tuple[Directive, ...] | str:
    """Read the configuration of nginx, or say why there is none to read."""
    done = shell.run(("nginx", "-T"), check=False, timeout_seconds=ASK_SECONDS,
                     limit_bytes=MOST_BYTES)  # fmt: skip
    if done.status == ABSENT:
        return f"there is no nginx{_who(listeners)}"
    if done.status:
        return f"nginx does not accept its own configuration: {done.tail}"
    with understood(f"the configuration of nginx on {shell.host}"):
        return nginx_read.read(done.stdout)


def describe(
    shell: Shell, entry: Entry, found: Program, mine: Addresses,
    read: tuple[Directive, ...] | str,
) -> None:  # fmt: skip
    """Put the domains of an Odoo into its entry, and what they are shown with."""
    if isinstance(read, str):
        entry.lack("domains", f"{read}; list the names that customers use")
        return
    ports = {found.http_port, *([found.gevent_port] if found.workers else [])}
    shown = sites.find(read, ports, mine.own)
    for said in shown.remarks:
        entry.remark(said)
    shown = Sites({name: pair for name, pair in shown.domains.items() if _fits(entry, name)})
    entry.put("domains", sorted(shown.domains))
    if not shown.domains:
        port = found.http_port
        entry.lack("domains", f"nginx leads none to port {port}; list those that customers use")
        return
    _certificates(shell, entry, shown)
    _names(entry, mine, sorted(shown.domains))


def _who(listeners: Sequence[Listener]) -> str:
    ports = sorted({each.port for each in listeners if each.port in WEB and each.pids})
    said = " and ".join(map(str, ports))
    return f", and another program listens at {said}" if ports else ""


def _fits(entry: Entry, name: str) -> bool:
    try:
        DOMAIN.validate_python(name)
    except ValidationError as error:
        sentence = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        entry.remark(f"a name of nginx's cannot be in domains: it {sentence}")
        return False
    return True


def _certificates(shell: Shell, entry: Entry, shown: Sites) -> None:
    if pair := shown.certificate:
        for name, path in zip(("chain", "key"), pair, strict=True):
            entry.put(f"certificate.{name}", path)
        _try_pair(entry, "certificate", pair)
    for domain, pair in shown.certificates.items():
        entry.put(f"certificates.{domain}", {"chain": pair[0], "key": pair[1]})
        _try_pair(entry, f"certificates.{domain}", pair)
    by_chain: dict[str, list[str]] = {}
    for domain, each in shown.domains.items():
        if each:
            by_chain.setdefault(each[0], []).append(domain)
    for chain, domains in by_chain.items():
        _judge(shell, entry, PurePosixPath(chain), domains)


def _try_pair(entry: Entry, place: str, pair: Pair) -> None:
    """Take a certificate out again whose paths no inventory takes."""
    try:
        Certificate.model_validate({"chain": pair[0], "key": pair[1]})
    except ValidationError as error:
        sentence = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        group, _, name = place.partition(".")
        if name:
            entry.values[group].pop(name)
        else:
            entry.values.pop(group)
        entry.lack(place, f"it is {pair[0]} with {pair[1]} there; in an inventory it {sentence}")


def _judge(shell: Shell, entry: Entry, chain: PurePosixPath, domains: Sequence[str]) -> None:
    """Say what `replicate` would refuse of a certificate, or what no browser would believe."""
    try:
        text = files.read(shell, chain)
        with understood(f"the certificate {chain} on {shell.host}"):
            found = x509.Chain.parse(text)
    except (CommandFailed, Refused) as error:
        entry.remark(error.message)
        return
    if others := [each for each in domains if not found.is_for(each)]:
        entry.remark(
            f"the certificate {chain} is for {', '.join(found.names) or 'no name'}, not for "
            f"{', '.join(others)}: nginx shows it for them all the same"
        )
    if (days := found.days_left(x509.today())) < LEAST_DAYS:
        entry.remark(f"the certificate {chain} has {days} days left: renew it before replicate")


def _names(entry: Entry, mine: Addresses, domains: Sequence[str]) -> None:
    """Find where the names lead, and who could change that."""
    named = zones.look_up(domains)
    if named.remark:
        entry.remark(named.remark)
    public, odd = addresses.public(named.addresses, mine)
    if odd:
        entry.remark(odd)
    host = entry.values["host"]
    if not public and (peer := host.get("peer_address")):
        public = host["address"] if addresses.is_ip(host["address"]) else peer
        entry.remark(f"public_address is taken to be {public}: where the domains lead is not known")
    if public:
        entry.put("host.public_address", public)
    if six := next((each for each in named.addresses6 if mine.has(each)), ""):
        entry.put("host.public_address6", six)
    _provider(entry, named)


def _provider(entry: Entry, named: zones.Names) -> None:
    if not named.zone:
        return
    guessed = zones.provider(named.servers) or "PROVIDER"
    entry.propose(
        "dns", {"provider": guessed, "zone": named.zone},
        f"write its token into secrets.yaml ({', '.join(named.servers[:3])} answer for it); "
        "without dns a failover says which records to change",
    )  # fmt: skip
