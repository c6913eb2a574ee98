"""A cluster of Debian's, looked at as it is: up, shut to us, without its configuration, gone."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from blocks.cluster import Cluster
from blocks.errors import Refused
from blocks.host import Host
from blocks.instance import Place
from blocks.odoo import Odoo
from blocks.shell import Shell
from tasks.postgres import cluster
from tasks.postgres.observe import NoCluster, observe, observe_if_reachable, observe_if_there
from tasks.standby import limits
from tests.engine.clusters import is_packaged, tools
from tests.engine.local import LocalShell
from tests.lab.machine import wait_until
from tests.stack import free_port

NAME = "relevo_look"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def control(place: Place, verb: str) -> None:
    words = (str(place.cluster.version), place.cluster.name, verb)
    run("pg_ctlcluster", "--skip-systemctl-redirect", *words)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A cluster beside those of this machine, which runs."""
    if not is_packaged():
        pytest.skip("Debian's pg_createcluster does not know these programs of PostgreSQL")
    shell, version = LocalShell(), tools().parent.name

    def ours(self: Host) -> Shell:
        return shell

    monkeypatch.setattr(Host, "shell", ours)
    made = Place(
        kind="origin",
        host=Host(name="uno", address="127.0.0.1", peer_address="127.0.0.1"),
        cluster=Cluster(version=int(version), name=NAME, port=free_port()),
        odoo=Odoo(),
    )
    port = f"--port={made.cluster.port}"
    run("pg_createcluster", "--start-conf=manual", port, version, NAME)
    try:
        control(made, "start")
        yield made
    finally:
        subprocess.run(["pg_dropcluster", "--stop", version, NAME], check=False)
        shutil.rmtree(made.cluster.config_dir, ignore_errors=True)
        shell.close()


@pytest.mark.parametrize("method", ["md5", "reject"])
def test_what_a_cluster_says_that_does_not_let_us_in_is_heard(place: Place, method: str) -> None:
    assert observe(place).is_primary
    hba = Path(place.cluster.config_dir, "pg_hba.conf")
    hba.write_text(f"local all postgres {method}\n{hba.read_text()}")
    control(place, "reload")

    wait_until(lambda: observe(place).refuses, "it lets us in no more", 20)

    seen = observe(place)
    said = {"md5": "no password supplied", "reject": "pg_hba.conf rejects connection"}[method]
    assert said in str(seen)
    assert seen.control is not None
    with pytest.raises(Refused, match="refuses our login"):
        cluster.wait_until_answering(place)


def test_a_cluster_that_starts_or_stops_says_so_in_whatever_language(place: Place) -> None:
    """A Spanish server says that "el sistema de base de datos está iniciándose"."""
    hba = Path(place.cluster.config_dir, "pg_hba.conf")
    hba.write_text(f"local all postgres reject\n{hba.read_text()}")
    control(place, "reload")
    wait_until(lambda: observe(place).refuses, "it lets us in no more", 20)

    path = Path(observe(place).directory, "postmaster.pid")
    lines = path.read_text().splitlines(keepends=True)
    assert lines[7].strip() == "ready"
    for state in ("starting", "stopping"):
        path.write_text("".join([*lines[:7], f"{state:<8}\n"]))
        seen = observe(place)
        assert (seen.refuses, str(seen)) == (False, "starting")


def test_a_cluster_that_was_wiped_is_gone_and_one_that_listens_is_not(place: Place) -> None:
    conf = Path(place.cluster.config_dir, "postgresql.conf")
    kept = conf.read_text()
    conf.unlink()
    with pytest.raises(Refused, match="something listens on its port") as refused:
        observe_if_there(place)
    assert not isinstance(refused.value, NoCluster)

    conf.write_text(kept)
    shutil.chown(conf, "postgres", "postgres")
    run("pg_dropcluster", "--stop", str(place.cluster.version), NAME)
    assert str(observe_if_reachable(place)) == "gone"


def test_limits_are_raised_where_the_next_start_reads_them(place: Place) -> None:
    """What ALTER SYSTEM has set lower beats any file of ours."""
    place.cluster.execute(place.host.shell(), "ALTER SYSTEM SET max_connections = 55")
    place.cluster.execute(place.host.shell(), "ALTER SYSTEM SET work_mem = '8MB'")
    assert limits.configured(place)["max_connections"] == 55

    limits.fit(
        place, observe(place).directory, {"max_connections": 170, "max_worker_processes": 12}
    )

    found = limits.configured(place)
    assert (found["max_connections"], found["max_worker_processes"]) == (170, 12)
    control(place, "restart")
    shown = "SELECT current_setting('max_connections') || ' ' || current_setting('work_mem')"
    assert place.cluster.value(place.host.shell(), shown) == "170 8MB"


def test_a_cluster_whose_programs_were_removed_is_said_to_lack_them_and_not_to_be_starting(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade of the host's system, and a removal of what that calls obsolete."""
    gone = property(lambda _: PurePosixPath("/usr/lib/postgresql/removed/bin"))
    monkeypatch.setattr(Cluster, "bin_dir", gone)

    lacks = f"uno has no PostgreSQL {place.cluster.version} any more"
    with pytest.raises(Refused, match=f"{lacks}.* and something listens") as runs:
        observe(place)
    assert not isinstance(runs.value, NoCluster)

    control(place, "stop")
    with pytest.raises(NoCluster, match=lacks):
        observe(place)
    assert observe_if_there(place).gone
