"""Root at an origin, or anybody in its place: what it can do to everybody else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blocks.instance import OdooInstance
from flows.basebackup import basebackup
from flows.configure_ssh import configure_ssh
from flows.reconcile_filestore import reconcile_filestore
from tests.attacks import canary, days, endless, identity, tricks
from tests.attacks.endless import MB, Peak
from tests.attacks.oracle import TOOL, Stage, only_own
from tests.oracles import Pair

CONF = "/etc/odoo/odoo.conf"


def test_links_of_odoos_user_at_the_origin_lead_root_there_nowhere(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """Root of the origin is more than Odoo's user of the origin, and stays so."""
    machine, data = stage.attacker.origin.machine, stage.attacker.origin.data_dir
    folder, _, name = data.rpartition("/")
    with (
        canary.untouched(machine),
        tricks.links(machine, stage.attacker.origin.user, folder, f"{name}.relevo-quarantine"),
    ):
        days.live(blocks["vps_uno"], configure_ssh)
    days.live(blocks["vps_uno"], configure_ssh)


def test_the_key_for_an_origin_writes_no_code_there_while_files_are_compared(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """Whoever has the key tries all the while to put a module into the origin's data directory."""
    uno, block = stage.attacker, blocks["vps_uno"]
    *ssh, name = identity.channel(uno)
    target = f"{uno.origin.data_dir}/addons/evil.py"
    uno.recovery.write("/var/relevo-loot/evil.py", "import os\n", mode=0o644)
    put = f"""
for n in $(seq 400); do
    if rsync -a --timeout=5 -e '{" ".join(ssh)}' /var/relevo-loot/evil.py {name}:{target}
    then echo written; break; fi
    [ -e /var/relevo-loot/stop ] && break
done 2>/dev/null
"""
    said: list[str] = []
    uno.recovery.run("rm", "-f", tricks.STOP)
    trying = threading.Thread(
        target=lambda: said.append(uno.recovery.run("sh", "-c", put, user=stage.own.odoo).stdout)
    )
    trying.start()
    try:
        for _ in range(3):
            reconcile_filestore(block)
    finally:
        uno.recovery.run("touch", tricks.STOP)
        trying.join(timeout=60)
        found = uno.origin.machine.run("ls", target, check=False).stdout
        uno.origin.machine.run("rm", "-f", target)
    assert (said, found) == ([""], ""), "the key has written code at the origin"


DOORS = """
db_user = odoo peer map=relevo
    hostssl all all {0}/32 trust
    host all all {0}/32 trust
    local all odoo
"""


@contextmanager
def configured(pair: Pair, lines: str) -> Iterator[None]:
    """Let odoo.conf of the origin say something else; Odoo itself is not restarted."""
    machine = pair.origin.machine
    good = machine.read(CONF)
    others = "\n".join(line for line in good.splitlines() if not line.startswith("db_user"))
    machine.write(CONF, f"{others}\n{lines.strip()}\n")
    try:
        yield
    finally:
        machine.write(CONF, good)


def test_odoo_conf_of_the_origin_adds_no_line_to_pg_hba_of_the_recovery_host(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """The name of Odoo's role is taken from there, and stands in lines that open doors."""
    uno, block = stage.attacker, blocks["vps_uno"]
    path = f"/etc/postgresql/{uno.origin.version}/{uno.name}/pg_hba.conf"
    string = f"host={uno.recovery.address} port={uno.port} user=postgres dbname=postgres"
    sql = f"COPY (SELECT 1) TO PROGRAM '{TOOL} door'"
    try:
        with configured(uno, DOORS.format(uno.origin.address)):
            days.live(block, basebackup)
            only_own(
                stage,
                lambda: uno.origin.machine.run("psql", "-d", string, "-c", sql, check=False),
            )
            lines = uno.recovery.read(path).splitlines()
        assert not [line for line in lines if "trust" in line.split("#")[0].split()]
    finally:
        days.live(block, basebackup)
    assert uno.is_home()


def test_a_gate_that_answers_without_end_fills_neither_memory_nor_disk(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """Its own instance has an error; the other's files follow as before."""
    uno, dos = stage.attacker, stage.victim
    gate, most = f"/usr/local/lib/relevo/{uno.name}-gate", Peak(300 * MB, 200 * MB)
    row = "INSERT INTO ir_attachment (name, type, store_fname, file_size) VALUES "
    missing = f"{row} ('endless', 'binary', 'ab/{'ab' * 20}', 3)"
    with (
        endless.watched(stage.recovery, most, stage.folder, "/var/log") as seen,
        endless.replaced(uno.origin.machine, gate, endless.GATE),
    ):
        uno.at_origin(missing, "cliente1")
        try:
            comparing = threading.Thread(
                target=lambda: days.live(blocks["vps_uno"], reconcile_filestore), daemon=True
            )
            comparing.start()
            comparing.join(timeout=25)
        finally:
            uno.at_origin("DELETE FROM ir_attachment WHERE name = 'endless'", "cliente1")
    comparing.join(timeout=120)
    assert seen.memory < most.memory, seen.says()
    assert seen.disk < most.disk, seen.says()
    days.live(blocks[dos.name], reconcile_filestore)
    assert dos.is_home()


ENDLESS_LOGIN = "while :; do printf '%65536s'; done\n"


def test_a_login_that_prints_without_end_fills_no_runner(
    stage: Stage, inventory_path: Path
) -> None:
    """Every command at that origin is answered so; the run fails, and names the host."""
    machine = stage.attacker.origin.machine
    with endless.replaced(machine, "/home/admin/.bashrc", ENDLESS_LOGIN):
        ran = endless.relevo(inventory_path, "run", "build_service", "vps_uno", most=700 * MB)
    assert ran.memory < 600 * MB, f"{ran.memory // MB} MB"
    assert ran.status not in {0, None}
    assert "uno" in ran.said, ran.said[-2000:]


def test_an_odoo_conf_without_end_fills_no_runner(stage: Stage, inventory_path: Path) -> None:
    """A link to /dev/zero in its place; root reads it by path."""
    machine = stage.attacker.origin.machine
    machine.run("mv", CONF, f"{CONF}.good")
    try:
        machine.run("ln", "-s", "/dev/zero", CONF)
        ran = endless.relevo(inventory_path, "run", "build_service", "vps_uno", most=700 * MB)
    finally:
        machine.run("mv", "-fT", f"{CONF}.good", CONF)
    assert ran.memory < 600 * MB, f"{ran.memory // MB} MB"
    assert ran.status not in {0, None}
    assert "odoo.conf" in ran.said, ran.said[-2000:]
