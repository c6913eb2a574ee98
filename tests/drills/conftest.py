"""One lab and one Prefect for all drills; each drill finds its instances replicated."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    temporary_settings,
)

from blocks.instance import OdooInstance
from deployments.inventory import instances
from deployments.inventory_file import read
from deployments.secrets import Secrets
from tests.attacks.oracle import Stage
from tests.lab import inventory, names
from tests.lab.client import NO_VACUUM, Client
from tests.lab.image import DATABASES
from tests.lab.lab import Lab
from tests.lab.trouble import LabError
from tests.oracles import Pair
from tests.stack import Stack

WORKER = "PYTEST_XDIST_WORKER"
# Too long for each change: one installs Relevo anew on a lab of its own (`make drill-docs`), one
# goes back and forth in time (`make drill-undo`).
BY_HAND = {"RELEVO_DOCS": "test_15_documents.py", "RELEVO_UNDO": "test_16_time_machine.py"}
collect_ignore = [drills for wish, drills in BY_HAND.items() if not os.environ.get(wish)]


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that the private PostgreSQL's own user may enter."""
    made = Path(tempfile.mkdtemp(prefix="relevo-drills-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One lab for all drills; of two pytests side by side, each has its own."""
    name, worker = os.environ.get("RELEVO_LAB_NAME", "relevo"), os.environ.get(WORKER, "")
    with Lab(f"{name}-{worker}" if worker else name) as made:
        yield made


@pytest.fixture(scope="session")
def inventory_path(lab: Lab, folder: Path) -> Path:
    return inventory.write(lab, folder)


@pytest.fixture(scope="session")
def stack(folder: Path, inventory_path: Path) -> Iterator[Stack]:
    made = Stack(folder / "prefect").start()
    try:
        made.run("--inventory", str(inventory_path), "apply")
        made.start_worker()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session", autouse=True)
def _api(stack: Stack) -> Iterator[None]:
    """Flows that a drill calls itself report to the same server."""
    chosen = {
        PREFECT_API_URL: stack.api,
        PREFECT_API_AUTH_STRING: stack.env["PREFECT_API_AUTH_STRING"],
        PREFECT_HOME: stack.env["PREFECT_HOME"],
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(updates=chosen):
        yield


class Blocks(dict[str, OdooInstance]):
    """The instances of the inventory as it is now, as a break-glass run would read them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __getitem__(self, name: str) -> OdooInstance:
        secrets = Secrets(self.path.with_name("secrets.yaml"))
        return next(i for i in instances(read(self.path), secrets) if i.name == name)


@pytest.fixture(scope="session")
def blocks(stack: Stack, inventory_path: Path) -> dict[str, OdooInstance]:
    return Blocks(inventory_path)


@pytest.fixture
def uno(lab: Lab, stack: Stack) -> Pair:
    pair = Pair(lab, "vps_uno", lab.uno, 5433, 8169)
    return _replicated(lab, stack, pair)


@pytest.fixture
def dos(lab: Lab, stack: Stack) -> Pair:
    pair = Pair(lab, "vps_dos", lab.dos, 5434, 8269)
    return _replicated(lab, stack, pair)


@pytest.fixture
def stage(uno: Pair, dos: Pair, stack: Stack, blocks: dict[str, OdooInstance]) -> Iterator[Stage]:
    """An attacker who has broken into vps_uno, and all that he must not get beside it."""
    with stack.unscheduled():
        made = Stage(uno, dos, blocks[dos.name])
        yield made
        made.sweep()


def _replicated(lab: Lab, stack: Stack, pair: Pair) -> Pair:
    """Make an instance whole again that a drill before has left otherwise."""
    clusters = lab.respaldo.run("pg_lsclusters", "-h").stdout
    if pair.name in clusters and not _home(pair):
        lab.fresh(pair.origin.machine.name)  # a host with another host key, and without our key
        _forget(lab, pair)
        if pair.name == "vps_uno":  # the one that has a DNS provider
            names.update(lab.nameserver, f"cliente1.{names.ZONE}", pair.origin.address)
        path = inventory.write(lab, stack.folder.parent)
        stack.run("--inventory", str(path), "apply")
    if pair.name not in clusters or not _home(pair):
        stack.complete(f"replicate/{pair.name}")
    return pair


def _home(pair: Pair) -> bool:
    try:
        return pair.is_home()
    except LabError:
        return False


def _forget(lab: Lab, pair: Pair) -> None:
    """Let the recovery host forget one instance, as if it had never been replicated."""
    version, machine = str(lab.generation.postgres), lab.respaldo
    machine.run("systemctl", "disable", "--now", f"odoo_{pair.name}.service", check=False)
    machine.run("pg_dropcluster", "--stop", version, pair.name, check=False)
    held = f"config_file=/etc/postgresql/{version}/{pair.name}/"  # by whatever means it was started
    machine.run("pkill", "-KILL", "-f", held, check=False)
    machine.run("systemctl", "stop", f"relevo-follow-odoo_{pair.name}.service", check=False)
    machine.run("rm", "-rf", f"/etc/postgresql/{version}/{pair.name}")
    machine.run("rm", "-rf", f"/var/lib/relevo/{pair.name}", f"{inventory.BASE}/{pair.name}")


@pytest.fixture
def customer(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """A client that writes to an instance: at its origin, unless told where."""
    clients: list[Client] = []

    def start(pair: Pair, *where: Any) -> Client:
        address, port = where or pair.origin.odoo
        ask = pair.at_recovery if where else pair.at_origin
        for database in DATABASES:
            ask(NO_VACUUM, database)
        client = Client.at(address, port, DATABASES, tmp_path / f"{pair.name}.journal")
        client.start()
        clients.append(client)
        client.wait_until_acknowledged(10)
        return client

    yield start
    for client in clients:
        client.stop()
