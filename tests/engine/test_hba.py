"""Who gets into the cluster of a recovery host over its loopback, where all its users may speak.

And whom a server takes for the other one, where a person has it follow by hand.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import psycopg
import pytest
from pydantic import SecretStr

from blocks import users
from blocks.cluster import Cluster
from blocks.host import Host
from blocks.instance import OdooInstance, Place, Replication
from blocks.odoo import Odoo
from tasks.host import files
from tasks.plan import placeholders
from tasks.postgres import hba
from tasks.recovery import door
from tasks.run import terminal
from tests.engine.clusters import Server

# As Debian's pg_createcluster leaves it.
DEBIANS = """\
local   all             postgres                                peer
local   all             all                                     peer
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256
local   replication     all                                     peer
host    replication     all             127.0.0.1/32            scram-sha-256
host    replication     all             ::1/128                 scram-sha-256
"""
ROLES = """
CREATE ROLE odoo SUPERUSER LOGIN PASSWORD 'odoo';
CREATE ROLE replica_user REPLICATION LOGIN PASSWORD 'streams';
CREATE ROLE replica_rewind LOGIN PASSWORD 'rewinds';
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A cluster whose customer's role has a password that anybody guesses."""
    folder = Path(tempfile.mkdtemp(prefix="relevo-hba-tests-"))
    folder.chmod(0o755)
    made = Server(folder / "one")
    try:
        made.make()
        data = made.data
        pair = ("-keyout", data / "server.key", "-out", data / "server.crt")
        request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x")
        subprocess.run([*request, *pair], check=True, capture_output=True)
        for path in (data / "server.key", data / "server.crt"):
            shutil.chown(path, "postgres", "postgres")
        conf = data / "postgresql.conf"
        ours = "ssl = on\nlisten_addresses = 'localhost'\npassword_encryption = scram-sha-256\n"
        conf.write_text(conf.read_text() + ours)
        made.start()
        made.sql(ROLES, "postgres")
        yield made
    finally:
        made.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def instance(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OdooInstance]:
    """One that is confined, whose files of settings are those of the server here."""

    def edit(_: object, path: PurePosixPath, change: files.Change, **__: str) -> None:
        there = server.data / path.name
        there.write_text(change(there.read_text()))

    monkeypatch.setattr(files, "edit", edit)
    monkeypatch.setattr(hba, "config_owner", lambda *_, **__: "postgres:")
    monkeypatch.setattr(hba, "observe", lambda _: SimpleNamespace(answers=False))
    host = Host(name="here", address="127.0.0.1", peer_address="127.0.0.1")
    sockets = users.sockets("vps_1", "db_vps_1")
    cluster = Cluster(version=15, name="vps_1", owner="db_vps_1", sockets=sockets)
    (server.data / "pg_hba.conf").write_text(DEBIANS)
    made = OdooInstance(
        name="vps_1",
        origin=Place(kind="origin", host=host, cluster=Cluster(version=15), odoo=Odoo()),
        recovery=Place(kind="recovery", host=host, cluster=cluster, odoo=Odoo()),
        directory=PurePosixPath("/srv/vps_1"),
        replication=Replication(
            password=SecretStr("streams"), rewind_password=SecretStr("rewinds")
        ),
        signing_key=SecretStr("signs"),
    )
    with terminal.without_server():
        yield made


def enters(server: Server, role: str, password: str, database: str = "postgres") -> str:
    """Try to log in over loopback; say why not."""
    try:
        psycopg.connect(
            host="127.0.0.1", port=server.port, user=role, password=password, dbname=database,
            connect_timeout=10,
        ).close()  # fmt: skip
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def reload(server: Server) -> None:
    """Let PostgreSQL read its files, and wait until who comes next meets them."""
    server.stop("fast")
    server.start()


def test_no_user_of_the_host_gets_in_by_a_customer_s_password(
    server: Server, instance: OdooInstance
) -> None:
    """Whoever breached one customer could try the passwords of all others, superusers too."""
    reload(server)
    assert enters(server, "odoo", "odoo") == "", "Debian's lines let it in"

    hba.admit(instance, instance.recovery, instance.origin, odoo_role="odoo")
    reload(server)

    assert "pg_hba.conf rejects connection" in enters(server, "odoo", "odoo")
    assert "pg_hba.conf rejects connection" in enters(server, "replica_rewind", "rewinds")


def test_the_door_lets_in_its_two_roles_and_nobody_else(
    server: Server, instance: OdooInstance
) -> None:
    hba.admit(instance, instance.recovery, instance.origin, odoo_role="odoo")
    door._put_lines(instance, door._lines(instance))
    hba.admit(instance, instance.recovery, instance.origin, odoo_role="odoo")
    reload(server)

    assert enters(server, "replica_rewind", "rewinds") == ""
    assert "password authentication failed" in enters(server, "replica_rewind", "guessed")
    assert "pg_hba.conf rejects connection" in enters(server, "odoo", "odoo")


def pasted(conninfo: str, home: Path) -> str:
    """What the shell makes of a connection string of a page by hand."""
    found = f'getent() {{ echo postgres:x:1:1::{home}:/bin/sh; }}\nprintf %s "{conninfo}"'
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", found], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("whose", ["its own", "another's", "nobody's"])
def test_a_server_with_another_key_is_followed_by_no_page_by_hand(
    server: Server, instance: OdooInstance, tmp_path: Path, whose: str
) -> None:
    """Whoever sits between the two hosts lets everybody in, and sends what WAL he likes."""
    (server.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    reload(server)
    cluster = instance.recovery.cluster.model_copy(update={"port": server.port})
    recovery = instance.recovery.model_copy(update={"cluster": cluster})
    names = placeholders.names(instance.model_copy(update={"recovery": recovery}))
    pinned = tmp_path / ".postgresql" / "relevo_vps_1_recovery.pem"
    pinned.parent.mkdir()
    if whose == "another's":
        other = ("-keyout", "/dev/null", "-out", pinned)
        request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x")
        subprocess.run([*request, *other], check=True, capture_output=True)
    elif whose == "its own":
        shutil.copy(server.data / "server.crt", pinned)

    conninfo = f"{pasted(names['to_recovery'], tmp_path)} dbname=postgres connect_timeout=10"
    try:
        psycopg.connect(conninfo).close()
        said = ""
    except psycopg.OperationalError as error:
        said = str(error)

    assert ("certificate verify failed" in said) == (whose == "another's"), said
    assert bool(said) == (whose == "another's"), said
