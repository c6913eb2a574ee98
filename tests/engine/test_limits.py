"""A real standby whose primary has raised a limit: what it says, and what lets it go on."""

from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from blocks.host import Host
from blocks.instance import Place
from blocks.odoo import Odoo
from blocks.shell import Shell
from tasks.postgres import controldata
from tasks.postgres.observe import ClusterState
from tasks.standby import limits
from tests.engine.clusters import Server, Twins, as_postgres, program
from tests.engine.local import LocalShell, cluster_of
from tests.lab.machine import wait_until


@pytest.fixture
def standby(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    shell = LocalShell()

    def ours(self: Host) -> Shell:
        return shell

    monkeypatch.setattr(Host, "shell", ours)
    host = Host(name="due", address="127.0.0.1", peer_address="127.0.0.1")
    yield Place(kind="recovery", host=host, cluster=cluster_of(twins.standby), odoo=Odoo())
    shell.close()


def _seen(place: Place, server: Server) -> ClusterState:
    said = as_postgres("env", "LC_ALL=C", program("pg_controldata"), "-D", server.data)
    return ClusterState(
        place=place, directory=PurePosixPath(server.data), online=True, answers=True,
        in_recovery=True, control=controldata.parse(said),
    )  # fmt: skip


def _set(server: Server, value: int) -> None:
    """Raise or lower a limit where the server reads it last."""
    conf = server.data / "postgresql.conf"
    conf.write_text(f"{conf.read_text()}max_connections = {value}\n")
    server.restart()


def test_a_limit_that_the_primary_raised_is_named_from_the_standby_s_own_control_file(
    twins: Twins, standby: Place
) -> None:
    assert limits.lower(_seen(standby, twins.standby)) == {}

    _set(twins.primary, 310)
    wait_until(lambda: limits.is_paused(standby), "replay is paused", 30)

    seen = _seen(standby, twins.standby)
    assert limits.lower(seen) == {"max_connections": (300, 310)}
    assert "max_connections is 300 there and must be 310; run replicate" in limits.why(seen)

    _set(twins.standby, 310)
    twins.catch_up()
    assert limits.lower(_seen(standby, twins.standby)) == {}


def test_replay_that_a_person_has_paused_is_no_matter_of_limits(
    twins: Twins, standby: Place
) -> None:
    twins.standby.sql("SELECT pg_wal_replay_pause()", "postgres")
    try:
        assert limits.is_paused(standby)
        assert limits.why(_seen(standby, twins.standby)) == ""
    finally:
        twins.standby.sql("SELECT pg_wal_replay_resume()", "postgres")
