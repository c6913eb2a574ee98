"""What customers come by: nginx, certificates, names; tried by day as the night uses them."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

import pytest

from blocks.errors import RelevoError
from blocks.instance import Certificate, OdooInstance
from flows.build_service import build_service
from flows.failback import failback
from flows.failover import failover
from tasks.readiness import at_home
from tasks.readiness.probes import Found, look_at_both
from tasks.run import terminal
from tasks.serving import dns, https, site, site_files
from tests.lab import names
from tests.lab.machine import Machine
from tests.oracles import Pair, no_strangers

Blocks = dict[str, OdooInstance]
MAIN, SITES = "/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled"
ENTRY = "/etc/nginx/conf.d/relevo.conf"
ACME = "/var/www/html/.well-known/acme-challenge"
V6 = "2001:db8::11"


def measured(block: OdooInstance) -> Found:
    with terminal.without_server():
        return at_home.probe(block, look_at_both(block))


@contextmanager
def edited(machine: Machine, path: str, old: str, new: str) -> Iterator[None]:
    text = machine.read(path)
    assert old in text
    machine.write(path, text.replace(old, new), mode=0o644)
    try:
        yield
    finally:
        machine.write(path, text, mode=0o644)


@contextmanager
def without_tunnels(*machines: Machine) -> Iterator[None]:
    """Harden sshd as many a role for Ansible does."""
    dropped = "/etc/ssh/sshd_config.d/hardening.conf"
    for machine in machines:
        machine.write(dropped, "AllowTcpForwarding no\n", mode=0o644)
        machine.run("systemctl", "reload", "ssh")
    try:
        yield
    finally:
        for machine in machines:
            machine.run("rm", dropped)
            machine.run("systemctl", "reload", "ssh")


def page(machine: Machine, domain: str, path: str = "/web/login") -> str:
    """The status with which the recovery host answers somebody who was led there."""
    argv = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {domain}")
    return machine.run(*argv, f"http://127.0.0.1{path}").stdout


def test_an_nginx_without_sites_enabled_and_an_sshd_without_tunnels_serve_customers(
    uno: Pair, blocks: Blocks
) -> None:
    """As nginx.org's package has it: conf.d alone is read."""
    block, domain, machine = blocks[uno.name], f"cliente1.{names.ZONE}", uno.recovery
    line = f"include {SITES}/*;"
    with edited(machine, MAIN, line, ""), without_tunnels(machine, uno.origin.machine):
        machine.run("mv", SITES, f"{SITES}.away")
        try:
            build_service(block)
            assert page(machine, domain) == "503", "it stands by"
            assert not {"site", "names"} & set(measured(block).failed)
            failover(block)
            assert page(machine, domain) == "303", "Odoo lets them choose a database"
            machine.run("install", "-d", "-m", "755", str(PurePosixPath(ACME).parent), ACME)
            machine.write(f"{ACME}/token", "answer", mode=0o644)
            assert page(machine, domain, "/.well-known/acme-challenge/token") == "200"
            assert measured(block).failed.keys() == {"roles"}
            failback(block)
            assert page(machine, domain) == "503"
        finally:
            machine.run("mv", f"{SITES}.away", SITES)
    machine.run("systemctl", "reload", "nginx")
    no_strangers(uno)


def test_an_nginx_that_reads_no_folder_is_refused_by_day_with_the_line_that_it_lacks(
    uno: Pair, blocks: Blocks
) -> None:
    block, machine = blocks[uno.name], uno.recovery
    machine.run("rm", "-f", ENTRY)
    text = machine.read(MAIN)
    bare_of = "\n".join(line for line in text.splitlines() if "include /etc/nginx/" not in line)
    with edited(machine, MAIN, text, bare_of):
        machine.run("systemctl", "reload", "nginx")
        assert "does not read" in measured(block).facts["site"]
        with pytest.raises(RelevoError, match="includes no folder of sites") as said:
            build_service(block)
        assert site.INCLUDE in said.value.hint
        mended = bare_of.replace("http {", f"http {{\n{site.INCLUDE}\n", 1)
        machine.write(MAIN, mended, mode=0o644)
        build_service(block)
        assert "site" not in measured(block).failed
    build_service(block)
    assert "site" not in measured(block).failed
    no_strangers(uno)


def test_each_domain_wants_a_certificate_that_names_it_and_may_have_its_own(
    dos: Pair, blocks: Blocks
) -> None:
    block, machine = blocks[dos.name], dos.origin.machine
    third, folder = f"cliente3.{names.ZONE}", "/etc/letsencrypt/live/third"
    two = block.model_copy(update={"domains": (*block.domains, third)})
    build_service(two)
    assert f"the certificate for {third} is for cliente2" in measured(two).failed["certificates"]

    make = (
        f"mkdir -p {folder}; openssl req -x509 -newkey rsa:2048 -nodes -days 10 -subj /CN=x "
        f"-addext subjectAltName=DNS:{third} -keyout {folder}/key.pem -out {folder}/chain.pem"
    )
    machine.run("sh", "-c", make)
    own = Certificate(
        chain=PurePosixPath(folder, "chain.pem"), key=PurePosixPath(folder, "key.pem")
    )
    both = two.model_copy(update={"certificates": {third: own}})
    build_service(both)
    found = measured(both)
    assert not {"certificates", "site"} & set(found.failed)
    assert f"the certificate for {third} has 9 days left" in "; ".join(found.remarks)
    assert "nobody" not in found.facts["certificates"]
    with terminal.without_server():
        assert https.days_left(both) == 9

    machine.run(
        "sh", "-c", f"cp -a {folder} {folder}.good; echo no certificate >{folder}/chain.pem"
    )
    with pytest.raises(RelevoError, match="nginx on respaldo cannot show"):
        build_service(both)
    dos.recovery.run("nginx", "-t")
    assert not {"certificates", "site"} & set(measured(both).failed), "the old one is still there"

    machine.run("sh", "-c", make.replace("-days 10", "-days 1"))
    build_service(both)
    assert "renew it on the origin" in measured(both).failed["certificates"]
    build_service(block)
    assert not {"certificates", "site"} & set(measured(block).failed)
    no_strangers(dos)


def test_a_certificate_that_was_renewed_here_outlives_the_next_build(
    dos: Pair, blocks: Blocks
) -> None:
    block, machine = blocks[dos.name], dos.recovery
    live = site_files.chain(block, block.domains[0])
    shown = ",".join(f"DNS:{each}" for each in block.domains)
    make = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 80 -subj /CN=x "
        f"-addext subjectAltName={shown} -keyout {live.parent}/privkey.pem -out {live}"
    )
    machine.run("sh", "-c", make)
    renewed = machine.read(str(live))
    try:
        build_service(block)
        assert machine.read(str(live)) == renewed
        found = measured(block)
        assert "certificates" not in found.failed
        assert "was renewed on respaldo" in "; ".join(found.remarks)
    finally:
        machine.run("rm", "-f", str(live))
        build_service(block)
    assert machine.read(str(live)) != renewed
    assert not {"certificates", "site"} & set(measured(block).failed)
    no_strangers(dos)


def test_a_name_with_addresses_of_both_families_is_moved_with_both_and_back(
    uno: Pair, blocks: Blocks
) -> None:
    block, domain, server = blocks[uno.name], f"cliente1.{names.ZONE}", uno.lab.nameserver
    names.update(server, domain, V6, "AAAA")
    try:
        said = measured(block).failed["names"]
        assert f"says that {domain} is A {uno.origin.address} and AAAA {V6}" in said

        host = block.origin.host.model_copy(update={"public_address6": V6})
        known = block.model_copy(update={"origin": block.origin.model_copy(update={"host": host})})
        assert "names" not in measured(known).failed
        report = failover(known)
        assert report.facts["domains"] == (
            f"{domain}: {uno.recovery.address}, no AAAA; removed: AAAA {V6} of {domain}"
        )
        assert names.lookup(server, domain, "AAAA") == ""
        assert names.lookup(server, domain) == uno.recovery.address
        failback(known)
        assert names.lookup(server, domain, "AAAA") == V6
        assert names.lookup(server, domain) == uno.origin.address
    finally:
        names.update(server, domain, "", "AAAA")
    no_strangers(uno)


def test_a_zone_that_customers_do_not_ask_is_no_proof(uno: Pair, blocks: Blocks) -> None:
    """The provider says yes, and those who are asked by customers know nothing of it."""
    block = blocks[uno.name]
    assert block.dns is not None
    elsewhere = block.dns.model_copy(update={"servers": (uno.origin.address,)})
    with terminal.without_server():
        pointed = dns.point(block.model_copy(update={"dns": elsewhere}), block.origin)
    assert not pointed.done
    assert pointed.sentence.startswith("not done: no name server answers for cliente1")
    assert shlex.quote(uno.origin.address) in pointed.sentence
