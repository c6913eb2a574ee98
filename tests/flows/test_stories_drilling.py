"""A rehearsal that could not be kept apart is refused before anything is copied."""

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.drill import drill
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, standby

LET: dict[str, Answer] = {
    "hold vps_1.drill drill 30": "held",
    "getent passwd *": "odoo:x:1:1::/:/bin/sh\n",
    "systemctl stop *": 0, "rm *": 0, "make_directory *": 0, "port *": "65432\n",
    "systemctl show relevo-vps_1-drill-clone.service *": "ActiveState=inactive\n",
    "systemctl *": 0, "SHOW unix_socket_directories": "/run/postgresql\n",
}  # fmt: skip


def test_a_host_without_network_namespaces_is_asked_before_the_clone(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = FakeHost("due", {**standby(), **LET, "view *": 225})
    hosts(FakeHost("uno"), due)

    with pytest.raises(Refused) as said:
        drill(instance)

    assert said.value.message == ("due cannot isolate a drill: systemd-run ended with status 225")
    assert "nesting" in said.value.hint
    assert not [asked for asked in due.ran if "pg_basebackup" in asked]
