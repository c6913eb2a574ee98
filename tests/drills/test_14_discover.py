"""`relevo discover` on real hosts: what it writes replicates as it is, or says what is missing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments import cli, way_in
from tests.discovered import blocks, entries, relevo, replicated, words
from tests.lab import names
from tests.lab.lab import Lab

# What somebody has installed or written; Odoo itself compiles modules when it loads them, and
# Debian 12's sudo notes that a user of the group admin was welcomed.
NEWER = """
find /etc /opt /usr /root /home -xdev -type f -newer /run/before \
    -not -name '*.lock' -not -path '*/__pycache__/*' -not -name .sudo_as_admin_successful
"""
SECONDS, HOSTS = 60, 30


@pytest.fixture(scope="module")
def new(lab: Lab) -> Iterator[Lab]:
    """A lab that no inventory knows."""
    with Lab(f"{lab.name}-new") as made:
        yield made


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
    new.dos.machine.run("systemctl", "start", "ssh")
    new.dos.machine.wait_for_port(new.dos.ssh_port)


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
