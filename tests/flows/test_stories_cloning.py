"""What a new clone brings along, what it leaves of what was there, and when none is made."""

import json
from pathlib import PurePosixPath

import pytest

from blocks.instance import OdooInstance
from tasks import rejoin
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, identity

FRESH = PurePosixPath("/var/lib/postgresql/13/fresh")
SYSTEM = json.loads(identity("in_production"))["system_identifier"]
ARCHIVES = "shared_buffers = '8GB'\narchive_mode = 'on'\narchive_command = 'pgbackrest %p'\n"


def leading(system_identifier: str = SYSTEM) -> dict[str, Answer]:
    """What a leader answers of itself."""
    row = {
        "position": "0/5000000", "segment": "000000010000000000000005",
        "system_identifier": system_identifier,
    }  # fmt: skip
    return {
        "SELECT pg_current_wal_lsn() AS position*": json.dumps([row]),
        "SELECT pg_read_file('pg_wal/*": "",
    }


def down(name: str, port: int, control_data: str) -> dict[str, Answer]:
    """A cluster that was stopped."""
    return {f"look 13 {name} *": f"{port} down unknown /pg/{name}\n{control_data}"}


def test_an_origin_that_is_cloned_anew_keeps_what_alter_system_had_set_there(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Its archive is in no other file: without it there would be no backup from here on."""
    there = down("main", 5432, control("in_production"))
    own = {"read *auto_conf.json": "", "read /pg/main/postgresql.auto.conf": ARCHIVES}
    hosts(FakeHost("uno", there | own), FakeHost("due", leading()))

    text = rejoin._alter_system(instance, instance.origin, instance.recovery, FRESH)

    assert text == ARCHIVES


def test_what_a_rewind_has_overwritten_is_taken_from_the_record(
    instance: OdooInstance, hosts: Hosts
) -> None:
    kept = {"read *auto_conf.json": json.dumps({"text": ARCHIVES})}
    hosts(FakeHost("uno", kept), FakeHost("due"))

    text = rejoin._alter_system(instance, instance.origin, instance.recovery, FRESH)

    assert text == ARCHIVES


@pytest.mark.parametrize(
    "there",
    [
        pytest.param("", id="nothing"),
        pytest.param(control("in_production").replace(SYSTEM, "1"), id="a_new_cluster"),
    ],
)
def test_a_recovery_host_gets_the_origin_s_settings_without_its_archive(
    instance: OdooInstance, hosts: Hosts, there: str
) -> None:
    clone = {"read *auto_conf.json": "", f"read {FRESH}/postgresql.auto.conf": ARCHIVES}
    hosts(FakeHost("uno", leading()), FakeHost("due", down("vps_1", 5433, there) | clone))

    text = rejoin._alter_system(instance, instance.recovery, instance.origin, FRESH)

    assert text == "shared_buffers = '8GB'\n"
