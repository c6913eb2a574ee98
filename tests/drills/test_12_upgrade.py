"""An instance that Relevo 0.1 has replicated: served as it is, moved by one replicate."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.shell import Shell
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from tasks.host import files
from tasks.readiness import at_home
from tasks.readiness.probes import Found, look_at_both
from tasks.recovery import confinement, users
from tasks.run import terminal
from tests.lab import inventory
from tests.lab.client import NO_VACUUM, Client, audit
from tests.lab.hosts import RECOVERY_HOME
from tests.lab.image import DATABASES
from tests.lab.lab import Lab
from tests.oracles import Pair, no_strangers, one_writer, ready
from tests.stack import Stack

FORMER = "34ee633"
ROOT = Path(__file__).parents[2]
MAIN = "import sys; from deployments.cli import main; sys.exit(main())"


@pytest.fixture
def former(tmp_path: Path) -> Callable[..., str]:
    """The command relevo of then, from this repository's own history."""
    packed = subprocess.run(
        ["git", "archive", FORMER], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "former", filter="data")
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "former")}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments], env=env, cwd=tmp_path / "former",
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def dos_of_then(
    lab: Lab, stack: Stack, inventory_path: Path, former: Callable[..., str], dos: Pair
) -> Iterator[Pair]:
    """The instance as it was replicated then; nothing of today's is left of it."""
    machine, version = lab.respaldo, str(lab.generation.postgres)
    units = (
        "relevo-follow-odoo_vps_dos", "relevo-follow-odoouser", "relevo-door-vps_dos.socket",
        "odoo_vps_dos",
    )  # fmt: skip
    with stack.unscheduled():
        for unit in units:
            machine.run("systemctl", "disable", "--now", unit, check=False)
        machine.run("pg_dropcluster", "--stop", version, dos.name)
        machine.run(
            "sh", "-c",
            f"rm -rf /var/lib/relevo/{dos.name} {inventory.BASE}/{dos.name} "
            f"/etc/postgresql/{version}/{dos.name} "
            f"/etc/systemd/system/postgresql@{version}-{dos.name}.service.d "
            f"/etc/systemd/system/relevo-*{dos.name}* /etc/tmpfiles.d/relevo-{dos.name}.conf "
            f"/etc/systemd/system/relevo-follow-odoouser.service /etc/nginx/relevo/{dos.name} "
            f"/run/relevo-postgresql/{dos.name}; systemctl daemon-reload; "
            "systemctl reload nginx; "
            f"pkill -KILL -u odoo_{dos.name},db_{dos.name}; "  # what carries questions
            f"userdel odoo_{dos.name}; userdel db_{dos.name}; true",
        )  # fmt: skip
        lab.fresh("dos")
        inventory.write(lab, inventory_path.parent)
        former("--inventory", str(inventory_path), "run", "replicate", dos.name)
        stack.run("--inventory", str(inventory_path), "apply")
        yield dos


def owner(pair: Pair) -> str:
    path = f"/var/lib/postgresql/{pair.lab.generation.postgres}/{pair.name}"
    return pair.recovery.run("stat", "-c", "%U", path).stdout.strip()


def measured(block: OdooInstance) -> Found:
    """What check sees; until its next build the instance is red, for it has the site of then."""
    with terminal.without_server():
        found = users.as_found(block)
        return at_home.probe(found, look_at_both(found))


def starts(pair: Pair) -> int:
    """How often the cluster on the recovery host was started."""
    unit = f"postgresql@{pair.lab.generation.postgres}-{pair.name}"
    said = pair.recovery.run("journalctl", "--unit", unit, "--output", "cat", "--no-pager").stdout
    return said.count("Started ")


def test_an_instance_of_then_is_copied_and_checked_as_it_is_and_moved_by_one_replicate(
    dos_of_then: Pair,
    blocks: dict[str, OdooInstance],
    stack: Stack,
    customer: Callable[..., Client],
) -> None:
    pair = dos_of_then
    assert owner(pair) == "postgres"
    for database in DATABASES:
        pair.at_origin(NO_VACUUM, database)
    client = customer(pair)

    stack.complete(f"rsync-filestore/{pair.name}")
    assert "shares the users odoouser and postgres" in measured(blocks[pair.name]).facts["users"]
    before = starts(pair)
    pair.recovery.run("chmod", "700", RECOVERY_HOME)  # as newer useradds make it
    with pytest.raises(Refused, match=f"may pass through {RECOVERY_HOME}"):
        replicate(blocks[pair.name])
    assert "shares the users odoouser and postgres" in measured(blocks[pair.name]).facts["users"]
    pair.recovery.run("chmod", "711", RECOVERY_HOME)

    stack.complete(f"replicate/{pair.name}")

    assert starts(pair) <= before + 1
    assert owner(pair) == f"db_{pair.name}"
    ready(check(blocks[pair.name]))
    no_strangers(pair)
    left = f"ls /opt/odoouser/.ssh/relevo_{pair.name}* 2>/dev/null || true"
    assert pair.recovery.run("sh", "-c", left).stdout == "", "the key that all could read is gone"
    with one_writer(pair):
        stack.complete(f"failover/{pair.name}", reason="upgraded")
        client.move_to(pair.recovery.address, pair.http_port)
        client.wait_until_acknowledged(5)
        stack.complete(f"failback/{pair.name}", reason="and home")
        client.move_to(*pair.origin.odoo)
        client.wait_until_acknowledged(5)
    client.stop()
    seen = audit(*pair.origin.odoo, client.journal)
    assert (seen.lost_rows, seen.broken_files) == ([], [])
    no_strangers(pair)


class Killed(BaseException):
    """The runner's process ended here."""


def _half_given(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die when the standby is stopped and a part of its data directory belongs to its new user."""
    data, give = f"/var/lib/postgresql/{pair.origin.version}/{pair.name}", files.give_tree

    def die(shell: Shell, path: PurePosixPath, *, former: str, user: str) -> files.Left:
        if str(path) != data:
            return give(shell, path, former=former, user=user)
        give(shell, path / "base", former=former, user=user)
        raise Killed

    monkeypatch.setattr(files, "give_tree", die)


def _given_and_not_written_down(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die when the standby runs as its new user, and the record still names the former one."""
    assert pair.name

    def die(_: OdooInstance) -> None:
        raise Killed

    monkeypatch.setattr(confinement, "_wait_for_stream", die)


# The second moment costs four minutes: `make drill-upgrade` has it, and a run of all does not.
MOMENTS = [_half_given, _given_and_not_written_down]


@pytest.mark.parametrize("dies", MOMENTS if os.environ.get("RELEVO_LONG") else MOMENTS[:1])
def test_a_move_that_was_killed_keeps_no_failover_from_an_instance_of_then(
    dos_of_then: Pair,
    blocks: dict[str, OdooInstance],
    stack: Stack,
    dies: Callable[[Pair, pytest.MonkeyPatch], None],
) -> None:
    pair = dos_of_then
    pair.at_origin("CREATE TABLE before AS SELECT generate_series(1, 1000) AS n", "cliente1")
    with pytest.MonkeyPatch.context() as dying:
        dies(pair, dying)
        with pytest.raises(Killed), terminal.without_server():
            replicate.fn(blocks[pair.name])
    pair.origin.machine.crash()

    with one_writer(pair):
        failover(blocks[pair.name], origin_is_down=True, reason="drill")
        assert pair.at_recovery("SELECT count(*) FROM before", "cliente1") == "1000"
        assert owner(pair) == f"db_{pair.name}"
        pair.origin.machine.boot()
        failback(blocks[pair.name])
    stack.complete(f"replicate/{pair.name}")
    ready(check(blocks[pair.name]))
    no_strangers(pair)


def test_a_move_that_was_killed_is_ended_by_the_next_replicate(
    dos_of_then: Pair, blocks: dict[str, OdooInstance], stack: Stack
) -> None:
    pair = dos_of_then
    for dies in (_half_given, _given_and_not_written_down):
        with pytest.MonkeyPatch.context() as dying:
            dies(pair, dying)
            with pytest.raises(Killed), terminal.without_server():
                replicate.fn(blocks[pair.name])
    stack.complete(f"replicate/{pair.name}")
    assert owner(pair) == f"db_{pair.name}"
    ready(check(blocks[pair.name]))
    no_strangers(pair)
