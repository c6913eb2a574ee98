"""A rehearsal that could not be kept apart is refused before anything is copied."""

import json

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from blocks.time_machine import TimeMachine
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


def test_a_second_that_cannot_be_opened_is_noted_and_what_was_made_is_cleared_away(
    instance: OdooInstance, hosts: Hosts
) -> None:
    kept = instance.model_copy(update={"time_machine": TimeMachine(days=7, limit_gb=10)})
    window = {
        "bytes": 1, "free": 1, "state": {"at": 99.0}, "now": 99.0, "since": 9.0, "until": None,
        "gaps": [], "bases": 1, "spoiled": [],
    }  # fmt: skip
    room = {"refused": "room", "need": 9e9, "free": 1e9}
    ended = "ActiveState=active\nSubState=exited\nResult=success\nExecMainStatus=0\n"
    answers: dict[str, Answer] = {
        "python3 -I * judge *": f"RELEVO {json.dumps(window)}\n",
        "start relevo-vps_1-drill-clone.service *": 0,
        "end relevo-vps_1-drill-clone.service *": f"RELEVO {json.dumps(room)}\n",
        "install *": "",
        "systemctl show relevo-vps_1-drill-clone.service *": ended,
    }
    due = FakeHost("due", {**answers, **standby(), **LET, **answers})
    hosts(FakeHost("uno"), due)

    with pytest.raises(Refused, match=r"due has 1\.0 GB free, but vps_1 as it was needs 9\.0 GB"):
        drill(kept, opens="past")

    noted = json.loads(due.wrote[-1])
    assert noted["failed"].startswith("due has 1.0 GB free")
    assert 9 <= noted["moment"] < 99
    (asked,) = [each for each in due.ran if " prepare " in each]
    assert asked.endswith(f"{noted['moment']:.6f} /var/lib/postgresql/13/vps_1.drill")
    cleared = "rm -rf --one-file-system /var/lib/postgresql/13/vps_1.drill"
    assert due.ran.count(cleared) == 2, "before, for one that was killed, and afterwards"
