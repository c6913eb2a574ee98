"""Layouts of strangers' servers, found by `relevo discover` and replicated as it wrote them.

Debian's package without workers, another cluster, other ports and folders, and one site are those
of test_14_discover.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.instance import OdooInstance
from tests.discovered import DROP_IN, blocks, entries, relevo, replicated, restarted, words
from tests.lab import checkout, names
from tests.lab.hosts import CHAIN, KEY, SITE, Origin
from tests.lab.lab import Lab
from tests.lab.machine import Machine

OPTIONS = """\
[Service]
EnvironmentFile=/etc/default/odoo-clientes
ExecStart=
ExecStart={command} --config /etc/odoo/odoo.conf --db-filter=^cliente[12]$ \\
    --workers=2 --no-database-list
WorkingDirectory=/opt/odoo
"""
PLAIN_SITE = "server {{ listen 80; server_name {}; location / {{ proxy_pass {}; }} }}\n"
DOMAINS = (f"cliente1.{names.ZONE}", f"www.cliente1.{names.ZONE}")
SERVER, OTHER_USER = "/opt/odoo/server", "erp"
CHECKOUT = f"""\
[Service]
User={OTHER_USER}
Group={OTHER_USER}
Environment=PATH=/opt/odoo/venv/bin:/usr/bin:/bin
ExecStart=
ExecStart={SERVER}/odoo-bin -c /etc/odoo/odoo.conf
"""
# Arguments: a user, folders of Odoo's.
MOVE_IN = """
user=$1; shift
useradd --system --create-home --shell /usr/sbin/nologin "$user"
chown -R "$user:" "$@"
"""


@pytest.fixture(scope="module")
def new(lab: Lab) -> Iterator[Lab]:
    """A lab that no inventory knows."""
    with Lab(f"{lab.name}-new") as made:
        yield made


def test_what_no_inventory_can_say_is_left_to_fill_in_with_the_reason(
    new: Lab, tmp_path: Path
) -> None:
    origin, machine = new.uno, new.uno.machine
    machine.run("mkdir", "/etc/mi odoo")
    machine.run("cp", "-a", origin.conf, "/etc/mi odoo/odoo.conf")
    text = f'[Service]\nExecStart=\nExecStart={origin.command} -c "/etc/mi odoo/odoo.conf"\n'
    machine.write(DROP_IN, text, mode=0o644)
    restarted(origin)

    done = relevo(tmp_path, "discover", *words(new, origin), code=1)

    assert "# config:  # FILL IN: it is /etc/mi odoo/odoo.conf there" in done.stdout
    assert "config" not in entries(done.stdout)["uno"]["odoo"]
    machine.run("rm", "-r", DROP_IN, "/etc/mi odoo")


def test_options_clusters_sites_a_venv_and_another_user_replicate_unedited_side_by_side(
    new: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "inventory.yaml"
    _with_options_two_clusters_and_several_sites(new.uno)
    _in_a_checkout_as_another_user(new, new.dos)

    both = words(new, new.uno, new.dos)
    done = relevo(tmp_path, "discover", *both, "--write", str(path), code=1)

    assert "added to" in done.stderr, done.stderr
    assert "replicate would refuse" not in (said := path.read_text()), said
    found = blocks(path)
    _is_described_with_its_sites(found["uno"])
    _is_described_by_its_own_python_and_sources(found["dos"])
    replicated(tmp_path, *found)
    again = relevo(tmp_path, "replicate", "--all", "--at-most", "2").stdout
    assert again.splitlines()[:2] == ["uno: has its replica", "dos: has its replica"]


def _with_options_two_clusters_and_several_sites(origin: Origin) -> None:
    machine, version = origin.machine, str(origin.version)
    machine.write("/etc/default/odoo-clientes", "ODOO_STAGE=production\n", mode=0o644)
    machine.write(DROP_IN, OPTIONS.format(command=origin.command), mode=0o644)
    restarted(origin)
    machine.run("pg_createcluster", "--start", "--port=5499", version, "intranet")
    _certificate(machine, DOMAINS)
    text = SITE.format(" ".join(DOMAINS), CHAIN, KEY, origin.http_port)
    text += PLAIN_SITE.format(f"blog.{names.ZONE}", "http://127.0.0.1:3000")
    machine.write("/etc/nginx/conf.d/clientes.conf", text, mode=0o644)
    machine.run("systemctl", "start", "nginx")


def _certificate(machine: Machine, domains: tuple[str, ...]) -> None:
    machine.run("mkdir", "-p", CHAIN.rpartition("/")[0])
    alternatives = ",".join(f"DNS:{each}" for each in domains)
    machine.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", KEY, "-out", CHAIN,
        "-days", "90", "-subj", f"/CN={domains[0]}", "-addext", f"subjectAltName={alternatives}",
    )  # fmt: skip


def _is_described_with_its_sites(found: OdooInstance) -> None:
    assert found.origin.cluster.name == "main"
    assert found.domains == tuple(sorted(DOMAINS))
    assert found.certificate is not None
    assert str(found.certificate.chain) == CHAIN
    assert found.origin.odoo.longpolling_port == 8072


def _in_a_checkout_as_another_user(lab: Lab, origin: Origin) -> None:
    """A hoster's own user runs a checkout, and logs in as the role that has its name."""
    machine = origin.machine
    machine.run("systemctl", "stop", origin.unit)
    _checkout(lab, origin)
    folders = (origin.data_dir, "/var/log/odoo", "/etc/odoo", "/opt/odoo")
    machine.run("sh", "-ec", MOVE_IN, "move", OTHER_USER, *folders)
    machine.psql(origin.port, f"CREATE ROLE {OTHER_USER} LOGIN SUPERUSER")
    for database in origin.databases:
        machine.psql(origin.port, f"REASSIGN OWNED BY odoo TO {OTHER_USER}", database)
    machine.run("sed", "-i", f"s/^db_user = .*/db_user = {OTHER_USER}/", origin.conf)
    machine.write(DROP_IN, CHECKOUT, mode=0o644)
    restarted(origin)


def _checkout(lab: Lab, origin: Origin) -> None:
    """Put a checkout into a folder, whose program names no Python of its own."""
    machine = origin.machine
    if lab.generation.is_checkout:
        machine.run("cp", "-a", checkout.SOURCE, SERVER)
        machine.run("sed", "-i", f"s,{checkout.SOURCE}/,{SERVER}/,", origin.conf)
        return
    machine.run("mkdir", "-p", SERVER)
    machine.run("cp", "-a", "/usr/lib/python3/dist-packages/odoo", f"{SERVER}/odoo")
    machine.run("cp", "/usr/bin/odoo", f"{SERVER}/odoo-bin")
    machine.run("sed", "-i", "1s,.*,#!/usr/bin/env python3,", f"{SERVER}/odoo-bin")
    machine.run("python3", "-m", "venv", "--system-site-packages", "/opt/odoo/venv")
    machine.run("sed", "-i", f"s,/usr/lib/python3/dist-packages,{SERVER},", origin.conf)


def _is_described_by_its_own_python_and_sources(found: OdooInstance) -> None:
    odoo = found.origin.odoo
    assert str(odoo.program) == f"{SERVER}/odoo-bin"
    assert str(odoo.python) == "/opt/odoo/venv/bin/python3"
    assert sorted(map(str, odoo.sources)) == [SERVER, "/opt/odoo/sources"]
    assert odoo.user == OTHER_USER
