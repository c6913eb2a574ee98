"""Odoo at the origin is not what its inventory says, or becomes another one: said by day."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.build_service import build_service
from flows.check import check
from flows.replicate import replicate
from flows.switchover import switchover
from tasks.authority import fence
from tasks.build import build, modules
from tasks.filestore.copies import pull
from tasks.odoo import odoo_settings, service
from tasks.run import terminal
from tests.lab import checkout
from tests.lab.machine import Machine, wait_until
from tests.oracles import Pair, no_strangers, ready

Blocks = dict[str, OdooInstance]
DROP_IN = "/etc/systemd/system/odoo.service.d/cliente1.conf"
OPTIONS = """\
[Service]
ExecStart=
ExecStart={command} --config /etc/odoo/odoo.conf \\
    --db-filter=^cliente[12]$ --no-database-list --load=base,web,lab_notes
Environment=ODOO_STAGE=production
WorkingDirectory=/opt/odoo
"""
BUILT = (
    "sha256sum {0}/odoo.conf {0}/environment /etc/systemd/system/odoo_{1}.service; ls -di {0}/venv"
)


def _restarted(pair: Pair) -> None:
    machine = pair.origin.machine
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", pair.origin.unit)
    ask = ("curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{pair.origin.http_port}/web/login")
    wait_until(lambda: machine.run(*ask, check=False).returncode == 0, "Odoo answers", 60)


@contextmanager
def _otherwise(pair: Pair, path: str, text: str) -> Iterator[None]:
    """Let Odoo at the origin run with another text of a file."""
    machine = pair.origin.machine
    former = (
        machine.read(path) if machine.run("test", "-e", path, check=False).returncode == 0 else ""
    )
    machine.run("mkdir", "-p", path.rpartition("/")[0])
    _write(machine, path, text)
    _restarted(pair)
    try:
        yield
    finally:
        _write(machine, path, former)
        if not former:
            machine.run("rm", path)
        _restarted(pair)


def _write(machine: Machine, path: str, text: str) -> None:
    """Write over what is there: owner and mode stay."""
    machine.run("sh", "-c", 'printf %s "$1" >"$2"', "write", text, path)


def _built(pair: Pair, block: OdooInstance) -> str:
    return pair.recovery.run("sh", "-c", BUILT.format(block.directory, block.name)).stdout


def test_options_in_a_drop_in_of_the_unit_are_in_force_at_the_recovery_host(
    uno: Pair, blocks: Blocks
) -> None:
    block = blocks[uno.name]
    with _otherwise(uno, DROP_IN, OPTIONS.format(command=uno.origin.command)):
        build_service(block)
        conf = uno.recovery.read(str(block.recovery.odoo.config))
        unit = uno.recovery.read(f"/etc/systemd/system/{block.recovery.odoo.unit}")
        assert "dbfilter = ^cliente[12]$" in conf
        assert "list_db = False" in conf
        assert "server_wide_modules = base,web,lab_notes" in conf
        assert f"WorkingDirectory={block.directory}/sources/opt/odoo" in unit
        said = uno.recovery.read(f"{block.directory}/environment")
        assert 'ODOO_STAGE="production"' in said
        switchover(block)
        listed = uno.recovery.run(
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            f"http://127.0.0.1:{uno.http_port}/web/database/manager",
        )
        shown = uno.recovery.run(
            "curl", "-s", f"http://127.0.0.1:{uno.http_port}/web/database/manager"
        )
        assert "disabled by the administrator" in shown.stdout, (listed.stdout, shown.stdout[:500])
        switchover(block, to="origin")
    build_service(block)
    ready(check(block))
    no_strangers(uno)


def test_an_odoo_that_uses_another_cluster_than_the_inventory_s_is_refused_by_name(
    uno: Pair, blocks: Blocks
) -> None:
    """The other cluster would have databases of the same names, and nobody would notice."""
    block, conf = blocks[uno.name], uno.origin.conf
    before, text = _built(uno, block), uno.origin.machine.read(conf)
    other = text.replace("db_port = False", "db_port = 5440")
    assert other != text
    _write(uno.origin.machine, conf, other)  # nothing listens there: it is not started again
    try:
        named = r"says db_port = 5440, and the inventory postgres.port: 5432"
        with pytest.raises(Refused, match=named):
            check(block)
        with pytest.raises(Refused, match=named):
            replicate(block)
        with pytest.raises(Refused, match=named):
            build_service(block)
    finally:
        _write(uno.origin.machine, conf, text)
    assert _built(uno, block) == before
    ready(check(block))


def test_a_build_that_is_refused_changes_nothing_that_a_failover_uses(
    uno: Pair, blocks: Blocks
) -> None:
    block = blocks[uno.name]
    before = _built(uno, block)
    odoo = block.recovery.odoo.model_copy(update={"http_port": 22})
    taken = block.model_copy(update={"recovery": block.recovery.model_copy(update={"odoo": odoo})})
    with pytest.raises(Refused, match="port 22 on respaldo is taken"):
        build_service(taken)
    assert _built(uno, block) == before

    program = block.origin.odoo.model_copy(update={"program": "/opt/odoo/sources/start.sh"})
    script = block.model_copy(update={"origin": block.origin.model_copy(update={"odoo": program})})
    with pytest.raises(Refused, match=r"and the inventory says odoo.program: /opt/odoo/sources"):
        build_service(script)
    assert _built(uno, block) == before

    uno.recovery.run("mv", f"{block.directory}/sources/opt/odoo/sources/lab_notes", "/root/")
    try:
        with pytest.raises(Refused, match="lab_notes: not in addons_path"):
            build_service(block)
    finally:
        uno.recovery.run("mv", "/root/lab_notes", f"{block.directory}/sources/opt/odoo/sources/")
    assert _built(uno, block) == before
    ready(check(block))


def test_ports_that_change_in_the_inventory_are_red_until_they_are_built(
    uno: Pair, blocks: Blocks
) -> None:
    block = blocks[uno.name]
    odoo = block.recovery.odoo.model_copy(update={"http_port": 8199})
    moved = block.model_copy(update={"recovery": block.recovery.model_copy(update={"odoo": odoo})})
    with pytest.raises(Refused, match=r"has http_port = 8169, not 8199"):
        check(moved)
    with terminal.without_server():
        build.adopt(moved)  # as a failover does, without the origin
        assert "http_port = 8199" in uno.recovery.read(str(odoo.config))
        build.adopt(block)
    ready(check(block))


def test_a_module_that_is_installed_meanwhile_moves_along(uno: Pair, blocks: Blocks) -> None:
    block, machine = blocks[uno.name], uno.origin.machine
    sources, name = uno.origin.sources, "late_notes"
    machine.run("cp", "-a", f"{sources}/lab_notes", f"{sources}/{name}")
    machine.run("sed", "-i", "s/lab.note/late.note/", f"{sources}/{name}/models.py")
    argv = (*uno.origin.command.split(), "-c", uno.origin.conf, "-d", "cliente1", "-i", name,
            "--stop-after-init", "--no-http", "--logfile=")  # fmt: skip
    machine.run("runuser", "-u", "odoo", "--", "env", "HOME=/var/lib/odoo", *argv)
    _restarted(uno)

    with pytest.raises(Refused, match=rf"lacks modules .* installed: {name} \(cliente1\)"):
        check(block)
    with terminal.without_server():
        assert modules.missing(block) == f"{name} (cliente1)"
    switchover(block)
    with terminal.without_server():
        assert modules.missing(block) == "none"
    switchover(block, to="origin")
    ready(check(block))
    no_strangers(uno)


def test_an_odoo_that_is_frozen_at_the_origin_is_not_ready(uno: Pair, blocks: Blocks) -> None:
    argv = ("systemctl", "kill", "--signal", "SIGSTOP", uno.origin.unit)
    uno.origin.machine.run(*argv)
    try:
        with pytest.raises(Refused, match="Odoo on uno answers no whole answer within"):
            check(blocks[uno.name])
    finally:
        uno.origin.machine.run("systemctl", "kill", "--signal", "SIGCONT", uno.origin.unit)
    ready(check(blocks[uno.name]))


def test_links_between_folders_of_modules_lead_to_the_copies(uno: Pair, blocks: Blocks) -> None:
    block, machine, sources = blocks[uno.name], uno.origin.machine, uno.origin.sources
    copies = f"{block.directory}/sources{sources}"
    machine.run("mkdir", f"{sources}/vendor", "/opt/foreign")
    machine.run("cp", "-a", f"{sources}/lab_notes", f"{sources}/vendor/linked")
    machine.run("ln", "-s", f"{sources}/vendor/linked", f"{sources}/linked")
    try:
        with terminal.without_server():
            pull(block, "sources")
        build_service(block)
        found = uno.recovery.run("readlink", f"{copies}/linked").stdout.strip()
        assert found == f"{copies}/vendor/linked"

        machine.run("mv", f"{sources}/vendor/linked", "/opt/foreign/linked")
        machine.run("ln", "-sfn", "/opt/foreign/linked", f"{sources}/linked")
        with terminal.without_server():
            pull(block, "sources")
        with pytest.raises(Refused, match=r"/linked -> /opt/foreign/linked"):
            build_service(block)
    finally:
        machine.run("rm", "-rf", f"{sources}/linked", f"{sources}/vendor", "/opt/foreign")
        uno.recovery.run("rm", "-rf", f"{copies}/linked", f"{copies}/vendor")
    build_service(block)
    ready(check(block))


def test_a_folder_that_became_a_link_and_a_link_that_became_a_folder_are_carried_over(
    uno: Pair, blocks: Blocks
) -> None:
    block, machine, sources = blocks[uno.name], uno.origin.machine, uno.origin.sources
    copy = f"{block.directory}/sources{sources}"
    machine.run("cp", "-a", f"{sources}/lab_notes", f"{sources}/moved")
    machine.run("mkdir", f"{sources}/vendor")
    try:
        with terminal.without_server():
            pull(block, "sources")
            machine.run("mv", f"{sources}/moved", f"{sources}/vendor/moved")
            machine.run("ln", "-s", "vendor/moved", f"{sources}/moved")
            pull(block, "sources")
        assert uno.recovery.run("readlink", f"{copy}/moved").stdout.strip() == "vendor/moved"
        uno.recovery.run("test", "-e", f"{copy}/moved/__manifest__.py")

        machine.run("rm", f"{sources}/moved")
        machine.run("mv", f"{sources}/vendor/moved", f"{sources}/moved")
        with terminal.without_server():
            pull(block, "sources")
        kind = uno.recovery.run("stat", "-c", "%F", f"{copy}/moved").stdout.strip()
        assert kind == "directory"
    finally:
        machine.run("rm", "-rf", f"{sources}/moved", f"{sources}/vendor")
        uno.recovery.run("rm", "-rf", f"{copy}/moved", f"{copy}/vendor")
    build_service(block)
    ready(check(block))


# Arguments: a folder for the wheel of a package, which demands another that nobody has.
WHEEL = """
import sys, zipfile
said = "Metadata-Version: 2.1\\nName: lab-late\\nVersion: 1.0\\nRequires-Dist: num2words>=99\\n"
kind = "Wheel-Version: 1.0\\nGenerator: lab\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
files = {"METADATA": said, "WHEEL": kind, "RECORD": ""}
with zipfile.ZipFile(sys.argv[1] + "/lab_late-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in files.items():
        wheel.writestr("lab_late-1.0.dist-info/" + name, text)
"""


def test_a_package_that_odoo_s_own_environment_gets_later_is_red_until_it_is_built(
    uno: Pair, blocks: Blocks
) -> None:
    """Its packages disagree with each other, as those of many an Odoo that runs well."""
    if not uno.lab.generation.is_checkout:
        pytest.skip("Odoo of this generation has no environment of its own")
    block, pip = blocks[uno.name], f"{uno.origin.python} -m pip".split()
    for machine in (uno.origin.machine, uno.recovery):
        machine.run("python3", "-c", WHEEL, checkout.WHEELS)
    uno.origin.machine.run(*pip, "install", "--no-deps", "lab-late")
    try:
        with terminal.without_server():
            pull(block, "requirements")
        with pytest.raises(Refused, match=r"lacks Python packages .* on uno: lab-late==1\.0"):
            check(block)
        build_service(block)
        ready(check(block))
    finally:
        uno.origin.machine.run(*pip, "uninstall", "--yes", "lab-late")
        with terminal.without_server():
            pull(block, "requirements")


SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: odoo-sysv
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: Odoo, as an installation script makes it
### END INIT INFO
run="start-stop-daemon --pidfile /run/odoo-sysv.pid"
case $1 in
start) $run --start --background --make-pidfile --chuid odoo:odoo --exec {program} -- {words} \\
    --config=/etc/odoo/odoo.conf --logfile=/var/log/odoo/odoo-server.log ;;
stop) $run --stop --oknodo --retry 10 ;;
restart) "$0" stop; "$0" start ;;
esac
"""


def test_an_odoo_that_a_script_of_init_d_starts_is_read_and_really_stopped(
    uno: Pair, blocks: Blocks
) -> None:
    block, machine, unit = blocks[uno.name], uno.origin.machine, "odoo-sysv.service"
    place = block.origin.model_copy(
        update={"odoo": block.origin.odoo.model_copy(update={"unit": unit})}
    )
    sysv = block.model_copy(update={"origin": place})
    machine.run("systemctl", "disable", "--now", uno.origin.unit)
    program, _, words = uno.origin.command.partition(" ")
    script = SCRIPT.format(program=program, words=words)
    machine.write("/etc/init.d/odoo-sysv", script, mode=0o755)
    machine.run("systemctl", "daemon-reload")
    try:
        machine.run("systemctl", "enable", unit)
        machine.run("systemctl", "start", unit)
        ask = ("curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:8069/web/login")
        wait_until(lambda: machine.run(*ask, check=False).returncode == 0, "Odoo answers", 60)
        with terminal.without_server():
            assert odoo_settings.measure(sysv)[0] == f"{unit} can be carried over"
            fence.fence_odoo(place)
        assert machine.run("ss", "-Hltn", "sport = :8069").stdout == ""
        assert not service.starts_at_boot(place.host.shell(), unit)
    finally:
        machine.run("systemctl", "stop", unit, check=False)
        machine.run("pkill", "-u", "odoo", "-f", uno.origin.program, check=False)
        machine.run("systemctl", "disable", unit, check=False)
        machine.run("rm", "/etc/init.d/odoo-sysv")
        machine.run("systemctl", "enable", uno.origin.unit)
        _restarted(uno)
    ready(check(block))
