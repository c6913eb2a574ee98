"""Layouts of strangers' servers, found by `relevo discover` and replicated as it wrote them.

Debian's package with and without workers, options and drop-ins, two clusters, other ports and
several sites are those of test_14_discover.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.discovered import DROP_IN, blocks, entries, relevo, restarted, words
from tests.lab import checkout
from tests.lab.hosts import Origin
from tests.lab.lab import Lab

OTHER_USER = "erp"
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


def _checkout(lab: Lab, origin: Origin) -> None:
    """Put a checkout into /opt/odoo/server, whose program names no Python of its own."""
    machine, server = origin.machine, "/opt/odoo/server"
    if lab.generation.is_checkout:
        machine.run("cp", "-a", checkout.SOURCE, server)
        machine.run("sed", "-i", f"s,{checkout.SOURCE}/,{server}/,", origin.conf)
        return
    machine.run("mkdir", "-p", server)
    machine.run("cp", "-a", "/usr/lib/python3/dist-packages/odoo", f"{server}/odoo")
    machine.run("cp", "/usr/bin/odoo", f"{server}/odoo-bin")
    machine.run("sed", "-i", "1s,.*,#!/usr/bin/env python3,", f"{server}/odoo-bin")
    machine.run("python3", "-m", "venv", "--system-site-packages", "/opt/odoo/venv")
    machine.run("sed", "-i", f"s,/usr/lib/python3/dist-packages,{server},", origin.conf)
    machine.run("chown", "-R", "odoo:", "/opt/odoo")


def _in_a_checkout(lab: Lab, origin: Origin) -> None:
    _checkout(lab, origin)
    line = "/opt/odoo/server/odoo-bin -c /etc/odoo/odoo.conf"
    path = "Environment=PATH=/opt/odoo/venv/bin:/usr/bin:/bin"
    text = f"[Service]\n{path}\nExecStart=\nExecStart={line}\n"
    origin.machine.write(DROP_IN, text, mode=0o644)
    restarted(origin)


def _as_another_user(origin: Origin) -> None:
    """A hoster's own user runs Odoo, and logs in as the role that has its name."""
    machine = origin.machine
    machine.run("systemctl", "stop", origin.unit)
    folders = (origin.data_dir, "/var/log/odoo", "/etc/odoo", origin.sources)
    machine.run("sh", "-ec", MOVE_IN, "move", OTHER_USER, *folders)
    machine.psql(origin.port, f"CREATE ROLE {OTHER_USER} LOGIN SUPERUSER")
    for database in origin.databases:
        machine.psql(origin.port, f"REASSIGN OWNED BY odoo TO {OTHER_USER}", database)
    machine.run("sed", "-i", f"s/^db_user = .*/db_user = {OTHER_USER}/", origin.conf)
    text = f"[Service]\nUser={OTHER_USER}\nGroup={OTHER_USER}\n"
    machine.write(DROP_IN, text, mode=0o644)
    restarted(origin)


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


def test_a_checkout_with_a_venv_and_an_odoo_of_another_user_replicate_unedited_side_by_side(
    new: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "inventory.yaml"
    _in_a_checkout(new, new.uno)
    _as_another_user(new.dos)

    done = relevo(
        tmp_path, "discover", *words(new, new.uno, new.dos), "--write", str(path), code=1
    )  # fmt: skip

    assert "added to" in done.stderr, done.stderr
    assert "replicate would refuse" not in (said := path.read_text()), said
    found = blocks(path)
    odoo = found["uno"].origin.odoo
    assert str(odoo.program) == "/opt/odoo/server/odoo-bin"
    assert str(odoo.python) == "/opt/odoo/venv/bin/python3"
    assert sorted(map(str, odoo.sources)) == ["/opt/odoo/server", "/opt/odoo/sources"]
    assert found["dos"].origin.odoo.user == OTHER_USER

    told = relevo(tmp_path, "replicate", "--all", "--at-most", "2").stdout
    assert "2 of 2 instances are well, 0 failed" in told
    for name in found:
        relevo(tmp_path, "run", "check", name)
    again = relevo(tmp_path, "replicate", "--all", "--at-most", "2").stdout
    assert again.splitlines()[:2] == ["uno: has its replica", "dos: has its replica"]
