"""Stories run in this process, on hosts that are tables; some with a private Prefect server."""

import os

os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import pytest
from pydantic import SecretStr

from blocks.cluster import Cluster
from blocks.errors import Unreachable
from blocks.host import Host
from blocks.instance import Dns, OdooInstance, Place, Replication
from blocks.odoo import Odoo
from blocks.shell import Shell
from tasks.readiness.probes import Need
from tasks.run import terminal
from tests.fakes import Answer, FakeHost

CONTROL = Path(__file__).parents[1] / "unit" / "data"
SECRETS = (
    "streaming-password", "rewinding-password", "dns-token-of-the-provider", "signing-key-of-vps-1",
)  # fmt: skip
Hosts: TypeAlias = "Callable[[FakeHost, FakeHost], None]"


@pytest.fixture(scope="package")
def prefect() -> Iterator[None]:
    """One server for the stories in which Prefect's own behaviour is the subject."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415  # the other stories are told without Prefect
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415

    quiet = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with quiet, prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(autouse=True)
def _at_a_terminal(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Where no server is asked for, a story is told to a terminal; none pauses before a retry."""
    monkeypatch.setattr(terminal, "RETRY_SECONDS", 0)
    with nullcontext() if "prefect" in request.fixturenames else terminal.without_server():
        yield


@pytest.fixture
def instance() -> OdooInstance:
    """One customer's server, and its stand-in on the recovery host."""
    return OdooInstance(
        name="vps_1",
        origin=Place(
            kind="origin",
            host=Host(name="uno", address="192.0.2.1", peer_address="10.0.0.1"),
            cluster=Cluster(version=13),
            odoo=Odoo(),
        ),
        recovery=Place(
            kind="recovery",
            host=Host(name="due", address="192.0.2.2", peer_address="10.0.0.2"),
            cluster=Cluster(version=13, name="vps_1", port=5433),
            odoo=Odoo(
                unit="odoo_vps_1.service", config=PurePosixPath("/srv/vps_1/odoo.conf"),
                data_dir=PurePosixPath("/srv/vps_1/data"), http_port=8169,
                longpolling_port=8172,
            ),
        ),
        directory=PurePosixPath("/srv/vps_1"),
        replication=Replication(
            password=SecretStr(SECRETS[0]), rewind_password=SecretStr(SECRETS[1])
        ),
        signing_key=SecretStr(SECRETS[3]),
        domains=("shop.example.com",),
        dns=Dns(
            provider="ddns", zone="example.com", options={"auth_token": SecretStr(SECRETS[2])}
        ),
    )  # fmt: skip


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """Put two fakes in place of the two servers, at the one seam."""

    def put(uno: FakeHost, due: FakeHost) -> None:
        by_name = {"uno": uno, "due": due}

        def shell(self: Host) -> Shell:
            return by_name[self.name].shell()

        monkeypatch.setattr(Host, "shell", shell)

    return put


def need(needs: Sequence[Need], name: str) -> Need:
    return next(each for each in needs if each.name == name)


def control(state: str) -> str:
    """What pg_controldata of a real PostgreSQL 13 said in this state."""
    return (CONTROL / f"pg_controldata_13_{state}.txt").read_text()


def identity(state: str) -> str:
    line = next(each for each in control(state).splitlines() if "system identifier" in each)
    return json.dumps({"system_identifier": line.split()[-1]})


def begun(time: str = "2026-11-28T12:00:00+00:00") -> str:
    """What is noted of a move that was begun."""
    stated = {"lossless": True, "seconds": 0, "about_bytes": 0, "last_commit": ""}
    return json.dumps({"exposure": stated, "reason": "a fire", "time": time})


def dead() -> FakeHost:
    """An origin that does not answer."""
    return FakeHost("uno", {"*": Unreachable("uno did not answer", hint="see that uno is up")})


def standby(**more: Answer) -> dict[str, Answer]:
    """A recovery host that follows, built and ready."""
    return {
        **more,
        "hold vps_1 * 30": "held 1",
        "look 13 vps_1 *": (
            "5433 online t /var/lib/postgresql/13/vps_1\n" + control("in_archive_recovery")
        ),
        "SELECT pg_is_wal_replay_paused()": "f\n",
        "SELECT max(last_msg_receipt_time) FROM pg_stat_wal_receiver": "\n",
        "SELECT setting FROM pg_settings WHERE name = 'wal_receiver_timeout'": "60000\n",
        "read /srv/vps_1/odoo.conf": "[options]\ndb_user = odoo\n",
        "read /etc/systemd/system/odoo_vps_1.service": "",
        "read /var/lib/relevo/vps_1/identity.json": identity("in_archive_recovery"),
        "read /var/lib/relevo/vps_1/*.json": "",
        "receipts /var/lib/relevo/vps_1 /var/lib/relevo/vps_1/signers": "",
        "missing *": "",
        "test -e *": 0,
        "systemctl is-active odoo_vps_1.service": "inactive\n",
        "systemctl show odoo_vps_1.service --property=NeedDaemonReload --value": "no\n",
        "ss -Hltn *": "",
        "SELECT": "[]",
        "date -u +%FT%TZ": "2027-01-15T08:00:12Z\n",
    }


def serving() -> dict[str, Answer]:
    """A recovery host that was failed over to, and serves the customers."""
    return {
        **standby(),
        "look 13 vps_1 *": (
            "5433 online f /var/lib/postgresql/13/vps_1\n" + control("in_production")
        ),
    }
