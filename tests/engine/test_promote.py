"""A real standby, promoted over a session; and one that PostgreSQL does not promote."""

from collections.abc import Iterator

import pytest

from blocks.host import Host
from blocks.instance import Place
from blocks.odoo import Odoo
from blocks.shell import Shell
from tasks.postgres import cluster
from tests.engine.clusters import Twins
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


def test_a_session_promotes_a_standby_once(
    standby: Place, caplog: pytest.LogCaptureFixture
) -> None:
    assert not cluster.accepts_writes(standby)

    assert cluster.promoted_by_session(standby)
    wait_until(lambda: cluster.accepts_writes(standby), "it accepts writes", 30)

    assert not cluster.promoted_by_session(standby), "PostgreSQL says no, and that is no error"
    assert "recovery is not in progress" in caplog.text
