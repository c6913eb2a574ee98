"""What Relevo has put into a real PostgreSQL is taken out of it, and nothing of anybody else's."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from pydantic import SecretStr

from blocks.cluster import Cluster
from blocks.errors import Refused
from blocks.host import Host
from blocks.instance import OdooInstance, Place, Replication
from blocks.odoo import Odoo
from blocks.shell import Shell
from tasks.logins import login
from tasks.removal import leave_origin
from tasks.run import terminal
from tasks.standby import clone, replication
from tests.engine.clusters import Server
from tests.engine.local import LocalShell, cluster_of

SLOTS = "SELECT slot_name FROM pg_replication_slots ORDER BY slot_name"
ROLES = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'replica%' ORDER BY rolname"
SET = "SELECT current_setting('primary_slot_name')"
RIGHTS = """
SELECT proname, proacl FROM pg_proc WHERE proname IN (
    'pg_ls_dir', 'pg_stat_file', 'pg_read_binary_file') ORDER BY oid
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="relevo-leaving-tests-"))
    folder.chmod(0o755)
    made = Server(folder / "one")
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def instance(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OdooInstance]:
    """An origin of one real cluster; of the recovery host nothing but its address is asked."""
    shell = LocalShell()

    def ours(self: Host) -> Shell:
        return shell

    monkeypatch.setattr(Host, "shell", ours)
    host = Host(name="here", address="127.0.0.1", peer_address="127.0.0.1")
    origin = Place(kind="origin", host=host, cluster=cluster_of(server), odoo=Odoo())
    away = Cluster(version=origin.cluster.version, name="vps_1")
    yield OdooInstance(
        name="vps_1",
        origin=origin,
        recovery=origin.model_copy(update={"kind": "recovery", "cluster": away}),
        directory=PurePosixPath("/srv/vps_1"),
        replication=Replication(
            password=SecretStr("streaming-password"), rewind_password=SecretStr("rewind-password")
        ),
        signing_key=SecretStr("signing-key-of-vps-1"),
    )
    shell.close()


def test_slots_roles_and_rights_go_and_those_of_others_stay(
    instance: OdooInstance, server: Server
) -> None:
    place, shell = instance.origin, instance.origin.host.shell()
    server.sql("SELECT pg_create_physical_replication_slot('theirs', true)", "postgres")
    before = server.sql(RIGHTS, "postgres")
    with terminal.without_server():
        login.create_roles(instance, place)
        for name in (instance.name, clone.slot(instance)):
            replication.ensure_slot(shell, place, name)
        assert len(server.sql(SLOTS, "postgres")) == 3
        assert server.sql(RIGHTS, "postgres") != before

        for _ in range(2):  # the second time there is nothing left to do
            leave_origin.drop_slots(instance)
            leave_origin.drop_roles(instance)

    assert server.sql(SLOTS, "postgres") == [("theirs",)]
    assert server.sql(ROLES, "postgres") == []
    assert server.sql(RIGHTS, "postgres") == before


def test_a_role_that_owns_something_is_named_and_its_things_stay(
    instance: OdooInstance, server: Server
) -> None:
    with terminal.without_server():
        login.create_roles(instance, instance.origin)
        server.sql("CREATE DATABASE theirs OWNER replica_rewind", "postgres")

        with pytest.raises(Refused, match=r"replica_rewind .* owns .*, in theirs\n") as refused:
            leave_origin.drop_roles(instance)

        assert "REASSIGN OWNED BY replica_rewind" in refused.value.hint
        server.sql("ALTER DATABASE theirs OWNER TO postgres", "postgres")
        leave_origin.drop_roles(instance)
    assert server.sql(ROLES, "postgres") == []
    server.sql("DROP DATABASE theirs", "postgres")


def test_what_a_failback_has_left_is_reset_where_it_is_ours(
    instance: OdooInstance, server: Server
) -> None:
    """It followed through our slot; somebody else's settings are left as they are."""
    conf = server.data / "postgresql.auto.conf"
    for slot, ours in (("theirs", False), (instance.name, True)):
        server.sql(f"ALTER SYSTEM SET primary_slot_name = '{slot}'", "postgres")
        server.sql("ALTER SYSTEM SET primary_conninfo = 'host=10.0.0.2'", "postgres")
        server.restart()  # PostgreSQL 12 reads them only as it starts
        assert server.sql(SET, "postgres") == [(slot,)]

        assert leave_origin.reset(instance) is ours

        assert ("primary_" in conf.read_text()) is not ours
