"""All that one server tells of its Odoos, as entries of an inventory. It is only asked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import yaml

from blocks.cluster import Cluster
from blocks.errors import CommandFailed, Refused
from blocks.host import Host
from blocks.odoo import Odoo
from blocks.shell import Shell
from tasks.discovery import addresses, clusters, program, server, web
from tasks.discovery.entry import Entry
from tasks.discovery.listening import Running
from tasks.discovery.program import Program
from tasks.discovery.server import Facts, Seen
from tasks.postgres.lsclusters import Listed
from tasks.serving.nginx_read import Directive

LATE_SECONDS = 5
SIGNS = re.compile(r"[^a-z0-9]+")
LONGEST_NAME = 40


@dataclass(frozen=True)
class Server:
    """What is the same for all Odoos of a server."""

    host: Host
    facts: Facts
    seen: Seen
    listed: tuple[Listed, ...]
    sites: tuple[Directive, ...] | str

    @property
    def shell(self) -> Shell:
        return self.host.shell()


def find(host: Host, *, called: str, peer: str) -> list[Entry]:
    """Describe each Odoo of a server; one that cannot be described in full is described so far.

    `peer` is the address of the recovery host, or nothing.
    """
    shell = host.shell()
    facts = server.facts(shell, peer)
    seen = server.seen(shell)
    sites = web.configuration(shell, seen.listeners)
    asked = Server(host, facts, seen, tuple(server.clusters(shell)), sites)
    name = name_of(called, facts.hostname)
    odoos = asked.seen.odoos or (None,)
    return [
        _entry(asked, each, name if at == 0 else f"{name}_{at + 1}", peer)
        for at, each in enumerate(odoos)
    ]


def name_of(called: str, hostname: str) -> str:
    """Make the name of an instance of what the server is called.

    >>> name_of("vps-1.example.com", "vps1"), name_of("10.0.0.1", "Uno"), name_of("::1", "1-a")
    ('vps_1', 'uno', 'vps_1_a')
    >>> name_of("no.example.com", ""), name_of("null", ""), name_of("node", "")
    ('vps_no', 'vps_null', 'node')
    """
    word = hostname if addresses.is_ip(called) or not called else called
    name = SIGNS.sub("_", word.partition(".")[0].lower()).strip("_") or "odoo"
    is_word = name[0].isalpha() and yaml.safe_load(name) == name  # to YAML, `no` is none
    return (name if is_word else f"vps_{name}")[: LONGEST_NAME - 2].rstrip("_")


def _entry(asked: Server, running: Running | None, name: str, peer: str) -> Entry:
    entry = Entry(name)
    _host(entry, asked, peer)
    found = _program(entry, asked, running) if running else None
    if running is None:
        _lack_odoo(entry, "no process and no service of this server is Odoo's")
    if found is None:
        _only_cluster(entry, asked.listed)
        return entry
    for part in (_postgres, _odoo, _web):
        try:
            part(entry, asked, found)
        except (CommandFailed, Refused) as error:
            entry.remark(error.message)
    _pin_address(entry)
    return entry


def _pin_address(entry: Entry) -> None:
    """Write the server's address in the place of a name that a failover points elsewhere.

    >>> one = Entry("a", {"host": {"address": "localhost"}, "domains": ["localhost"]})
    >>> _pin_address(one)
    >>> one.values["host"]["address"] in {"127.0.0.1", "::1"}
    True
    """
    host, domains = entry.values.get("host"), entry.values.get("domains")
    named = str(host["address"]) if isinstance(host, dict) else ""
    if isinstance(domains, list) and named.lower() in domains:
        entry.put("host.address", next(iter(server.known_here(named)), named))


def _host(entry: Entry, asked: Server, peer: str) -> None:
    """Say how the runner comes in, and which address the recovery host sees."""
    host, mine = asked.host, asked.facts.addresses
    entry.put("host.address", host.address)
    entry.put("host.port", host.port)
    entry.put("host.user", host.user)
    if host.key_file:
        entry.put("host.key_file", str(host.key_file))
    if host.host_key:
        entry.put("host.host_key", host.host_key)
    known = mine.to_peer if peer else ""
    direct = mine.among(server.known_here(host.address))
    if (found := known or direct or mine.to_peer) and found != host.address:
        entry.offer(Host, "host.peer_address", found, name="x", address="x")
    if not peer:
        entry.remark(
            f"peer_address is {found or 'not known'}, without asking for the way to the recovery "
            "host: run discover with --recovery"
        )
    if abs(asked.facts.late) > LATE_SECONDS:
        entry.remark(f"its clock is {abs(asked.facts.late)} s away from that of this machine")


def _program(entry: Entry, asked: Server, running: Running) -> Program | None:
    if not running.unit:
        _lack_odoo(
            entry,
            f"Odoo runs in {running.group.rpartition(':')[2] or 'no group'}, which is no service "
            "of systemd's: make it one",
        )
        return None
    try:
        return program.observe(asked.shell, running)
    except (CommandFailed, Refused) as error:
        _lack_odoo(entry, error.message)
        return None


def _lack_odoo(entry: Entry, why: str) -> None:
    for field in ("unit", "user", "config", "data_dir", "sources", "program", "python"):
        entry.lack(f"odoo.{field}", why)


def _only_cluster(entry: Entry, listed: Sequence[Listed]) -> None:
    """Of a server whose Odoo is not known, the only cluster must be the one."""
    if len(listed) == 1:
        _cluster(entry, listed[0])
    else:
        entry.lack("postgres.version", f"pg_lsclusters lists {len(listed)} clusters")


def _postgres(entry: Entry, asked: Server, found: Program) -> None:
    chosen = clusters.choose(asked.host, asked.listed, found)
    for said in chosen.remarks:
        entry.remark(said)
    if chosen.listed is None:
        entry.lack("postgres.version", chosen.why)
    else:
        _cluster(entry, chosen.listed)


def _cluster(entry: Entry, listed: Listed) -> None:
    version = {"version": listed.version}
    for field, value in (*version.items(), ("name", listed.name), ("port", listed.port)):
        entry.offer(Cluster, f"postgres.{field}", value, **({} if field == "version" else version))
    if listed.owner != "postgres":
        entry.remark(f"the cluster belongs to {listed.owner}, and Relevo wants postgres")


def _odoo(entry: Entry, asked: Server, found: Program) -> None:
    entry.offer(Odoo, "odoo.unit", found.unit)
    entry.offer(Odoo, "odoo.user", found.user)
    if found.there:
        entry.offer(Odoo, "odoo.config", str(found.config))
    else:
        entry.lack("odoo.config", f"there is no {found.config}, which Odoo would read")
    entry.offer(Odoo, "odoo.data_dir", str(found.data_dir))
    _sources(entry, program.folders(asked.shell, found), found.data_dir)
    for field, path in (("program", found.program), ("python", found.python)):
        if path:
            entry.offer(Odoo, f"odoo.{field}", str(path))
        else:
            runs = found.started.words[0] if found.started.words else "nothing"
            entry.lack(f"odoo.{field}", f"{found.unit} runs {runs}, which does not tell it")
    entry.offer(Odoo, "odoo.http_port", found.http_port)
    entry.offer(Odoo, "odoo.longpolling_port", found.gevent_port)
    for said in _odd(asked, found):
        entry.remark(said)


def _sources(entry: Entry, folders: Sequence[PurePosixPath], data_dir: PurePosixPath) -> None:
    """Take the folders that an inventory can name, and say which it cannot."""
    if around := next((each for each in folders if data_dir.is_relative_to(each)), None):
        why = f"{around} holds data_dir too, and would be copied twice: move {data_dir} out of it"
        entry.lack("odoo.sources", why)
        return
    fit = []
    for folder in folders:
        if entry.offer(Odoo, "odoo.sources", [str(folder)]):
            fit.append(str(folder))
        elif why := entry.missing.pop("odoo.sources", ""):
            entry.remark(f"a folder that Odoo needs cannot be in odoo.sources: {why}")
    entry.put("odoo.sources", fit)


def _odd(asked: Server, found: Program) -> Iterator[str]:
    """Say where the settings and what runs are not the same."""
    running = next(each for each in asked.seen.odoos if each.unit == found.unit)
    if not asked.seen.up:
        yield f"{found.unit} is not running, so it was read and not seen"
    elif found.http_port not in running.ports:
        yield f"{found.unit} listens at {running.ports or 'no port'}, not at {found.http_port}"
    if found.workers and asked.seen.up and found.gevent_port not in running.gevent_ports:
        yield (
            f"{found.unit} has workers and no process for live chat at {found.gevent_port}: start "
            "it again if it was just changed"
        )
    if found.started.unclear:
        setting = found.started.unclear.partition("=")[0]  # a password may stand behind it
        yield f"{found.unit} is down, and its {setting} does not tell all of its options"


def _web(entry: Entry, asked: Server, found: Program) -> None:
    web.describe(asked.shell, entry, found, asked.facts.addresses, asked.sites)
