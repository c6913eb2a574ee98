"""`relevo discover` on real hosts: what it writes replicates as it is, or says what is missing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments import cli, way_in
from tests.discovered import DROP_IN, blocks, entries, relevo, restarted, words
from tests.lab import names
from tests.lab.hosts import CHAIN, KEY, SITE
from tests.lab.lab import Lab
from tests.lab.machine import Machine

# What somebody has installed or written; Odoo itself compiles modules when it loads them, and
# Debian 12's sudo notes that a user of the group admin was welcomed.
NEWER = """
find /etc /opt /usr /root /home -xdev -type f -newer /run/before \
    -not -name '*.lock' -not -path '*/__pycache__/*' -not -name .sudo_as_admin_successful
"""
OPTIONS = """\
[Service]
EnvironmentFile=/etc/default/odoo-clientes
ExecStart=
ExecStart={command} --config /etc/odoo/odoo.conf --db-filter=^cliente[12]$ \\
    --workers=2 --no-database-list
WorkingDirectory=/opt/odoo
"""
PLAIN_SITE = "server {{ listen 80; server_name {}; location / {{ proxy_pass {}; }} }}\n"
SECONDS, HOSTS = 60, 30


@pytest.fixture
def new(lab: Lab) -> Iterator[Lab]:
    """A lab that no inventory knows."""
    with Lab(f"{lab.name}-new") as made:
        yield made


def replicated(folder: Path, *found: str) -> None:
    """Replicate what was found, all at once, and see that nothing about it is red."""
    told = relevo(folder, "replicate", "--all", "--at-most", "2").stdout
    assert f"{len(found)} of {len(found)} instances are well, 0 failed" in told
    for name in found:
        relevo(folder, "run", "check", name)


def test_what_discover_writes_replicates_unedited_and_nothing_is_changed_before(
    new: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "inventory.yaml"
    machines = (new.uno.machine, new.dos.machine, new.respaldo)
    for machine in machines:
        machine.run("touch", "/run/before")
        machine.run("sleep", "1")

    both = words(new, new.uno, new.dos)
    done = relevo(tmp_path, "discover", *both, "--write", str(path), code=1)

    assert "added to" in done.stderr, done.stderr
    for machine in machines:
        assert machine.run("sh", "-c", NEWER).stdout == "", machine.name
    assert "replicate would refuse" not in path.read_text()
    found = blocks(path)
    assert {*found} == {"uno", "dos"}
    dos = found["dos"].origin
    assert (dos.cluster.name, dos.cluster.port, dos.odoo.http_port) == ("clientes", 5544, 8169)
    assert str(dos.odoo.data_dir) == "/srv/odoo/data"
    assert found["dos"].domains == (f"cliente2.{names.ZONE}",)
    assert found["dos"].certificate is not None
    replicated(tmp_path, *found)
    again = relevo(tmp_path, "discover")
    assert again.stdout.splitlines() == ["# uno: as it was", "# dos: as it was"]
    new.dos.machine.run(
        "sed", "-i", f"s/server_name [^;]*/& otro.{names.ZONE}/", "/etc/nginx/conf.d/odoo.conf"
    )
    drifted = relevo(tmp_path, "discover", code=1)
    now = f"[cliente2.{names.ZONE}, otro.{names.ZONE}]"
    assert drifted.stdout.splitlines() == [
        "# uno: as it was",
        f"# dos: domains: the inventory says [cliente2.{names.ZONE}], the server {now}",
    ]


def test_a_unit_with_options_two_clusters_and_several_sites_replicates_unedited(
    new: Lab, tmp_path: Path
) -> None:
    origin, path = new.uno, tmp_path / "inventory.yaml"
    machine, version = origin.machine, str(origin.version)
    machine.write("/etc/default/odoo-clientes", "ODOO_STAGE=production\n", mode=0o644)
    machine.write(DROP_IN, OPTIONS.format(command=origin.command), mode=0o644)
    restarted(origin)
    machine.run("pg_createcluster", "--start", "--port=5499", version, "intranet")
    domains = [f"cliente1.{names.ZONE}", f"www.cliente1.{names.ZONE}"]
    _certificate(machine, domains)
    text = SITE.format(" ".join(domains), CHAIN, KEY, origin.http_port)
    text += PLAIN_SITE.format(f"blog.{names.ZONE}", "http://127.0.0.1:3000")
    machine.write("/etc/nginx/conf.d/clientes.conf", text, mode=0o644)
    machine.run("systemctl", "start", "nginx")

    relevo(tmp_path, "discover", *words(new, origin), "--write", str(path), code=1)

    found = blocks(path)["uno"]
    assert "replicate would refuse" not in path.read_text()
    assert found.origin.cluster.name == "main"
    assert found.domains == tuple(sorted(domains))
    assert found.certificate is not None
    assert str(found.certificate.chain) == CHAIN
    assert found.origin.odoo.longpolling_port == 8072
    replicated(tmp_path, "uno")


def _certificate(machine: Machine, domains: list[str]) -> None:
    machine.run("mkdir", "-p", CHAIN.rpartition("/")[0])
    alternatives = ",".join(f"DNS:{each}" for each in domains)
    machine.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", KEY, "-out", CHAIN,
        "-days", "90", "-subj", f"/CN={domains[0]}", "-addext", f"subjectAltName={alternatives}",
    )  # fmt: skip


def test_thirty_servers_are_asked_within_a_minute_and_one_that_is_cut_off_stops_only_itself(
    new: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two servers under thirty names; of those that are one server, one entry loads."""
    both = (new.uno.machine, new.dos.machine)
    said = {f"vps{n}": both[n % 2] for n in range(HOSTS)}
    monkeypatch.setattr(
        way_in, "_ask_ssh",
        lambda name: f"hostname {said[name].address}\nport {said[name].ssh_port}\n"
        f"user {said[name].ssh_user}\n" if name in said else "",
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    options = words(new, new.uno, new.dos)[2:]
    begun = time.monotonic()

    cli.main(["discover", *said, *options])

    took = time.monotonic() - begun
    printed = capsys.readouterr().out
    assert all(f" {name}:\n" in printed for name in said)
    assert len(entries(printed)) == 2
    assert took < SECONDS, f"{took:.0f} s for {HOSTS} servers"
    with capsys.disabled():
        print(f"{HOSTS} servers in {took:.0f} s")

    new.dos.machine.run("systemctl", "stop", "ssh.socket", check=False)
    new.dos.machine.run("systemctl", "stop", "ssh")
    assert cli.main(["discover", "vps0", "vps1", *options]) == 5
    heard = capsys.readouterr()
    assert {*entries(heard.out)} == {"vps0"}
    assert "relevo: vps1: " in heard.err
