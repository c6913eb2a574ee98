"""The time machine as the runner meets it: off, well, with a gap, and refusing."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.errors import Refused, RelevoError
from blocks.instance import Filestore, OdooInstance, TimeMachine
from flows.bring_back import bring_back
from tasks.archive import archive
from tasks.readiness import at_home, failed_over
from tasks.readiness.probes import Need
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts, dead, need, standby

WELL = {
    "bytes": 2e9, "free": 9e9, "state": {"at": 1000.0, "kind": "", "said": "", "taking": ""},
    "now": 1001.0, "since": 60.0, "until": None, "reaches_now": True, "gaps": [], "bases": 2,
    "spoiled": [],
}  # fmt: skip
JUDGE = f"python3 -I {archive.PROGRAM} judge /var/lib/relevo/vps_1/postgres/archive.json"
AT = datetime(2026, 11, 24, 18, tzinfo=UTC)


@pytest.fixture
def kept(instance: OdooInstance) -> OdooInstance:
    return instance.model_copy(update={"time_machine": TimeMachine(days=7, limit_gb=10)})


def says(facts: dict[str, object]) -> FakeHost:
    return FakeHost("due", {JUDGE: f"RELEVO {json.dumps(facts)}\n"})


@pytest.mark.parametrize("needs", [at_home.NEEDS, failed_over.NEEDS])
def test_an_instance_without_a_time_machine_is_asked_nothing(
    instance: OdooInstance, hosts: Hosts, needs: tuple[Need, ...]
) -> None:
    hosts(uno := FakeHost("uno"), due := FakeHost("due"))
    assert need(needs, "time machine").ask(instance) == ["off"]
    assert uno.ran == due.ran == []


def test_check_says_since_when_any_second_can_be_brought_back(
    kept: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), says(WELL))
    assert archive.measure(kept) == [
        "any second since 1970-01-01 00:01:00 (UTC); 2.0 GB of 10 GB, 2 base backups"
    ]


def test_a_gap_is_a_remark_with_both_of_its_ends(kept: OdooInstance, hosts: Hosts) -> None:
    hosts(dead(), says({**WELL, "gaps": [[120.0, 180.0]]}))
    _, remark = archive.measure(kept)
    assert remark == (
        "nobody can go back to what was between 1970-01-01 00:02:00 (UTC) and "
        "1970-01-01 00:03:00 (UTC)"
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"until": 300.0}, "nobody can go back to what came after 1970-01-01 00:05:00"),
        ({"now": 5000.0}, "the time machine has said nothing for 67 min"),
        ({"state": {}}, "the time machine has said nothing yet"),
        ({"since": None}, "no base backup is whole"),
        ({"state": {"at": 1000.0, "kind": "full", "said": "limit"}}, "its 10 GB are full"),
        (
            {"since": None, "state": {"at": 1000.0, "kind": "base", "said": "limit 4000000000"}},
            "three base backups of 4.0 GB do not fit in 10 GB",
        ),
    ],
)
def test_what_is_not_kept_now_is_red(
    kept: OdooInstance, hosts: Hosts, facts: dict[str, object], said: str
) -> None:
    hosts(dead(), says({**WELL, **facts}))
    with pytest.raises(RelevoError, match=said):
        archive.measure(kept)


def test_the_first_base_backup_is_no_alarm(kept: OdooInstance, hosts: Hosts) -> None:
    state = {"at": 1000.0, "kind": "", "said": "", "taking": "20261124T180000Z"}
    hosts(dead(), says({**WELL, "since": None, "state": state}))
    assert archive.measure(kept) == ["the first base backup is being taken"]


def test_nothing_is_brought_back_of_an_instance_that_keeps_nothing(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    due = FakeHost("due", {**standby(), "hold vps_1.look *": "held 1"})
    hosts(dead(), due)
    with pytest.raises(Refused, match="vps_1 has no time machine"):
        bring_back(instance, AT, "shop", tmp_path / "shop.zip")
    assert [each for each in due.changes if not each.startswith("hold ")] == []


def test_a_backup_overwrites_nothing(kept: OdooInstance, hosts: Hosts, tmp_path: Path) -> None:
    hosts(uno := FakeHost("uno"), due := FakeHost("due"))
    (there := tmp_path / "shop.zip").touch()
    with pytest.raises(Refused, match="is there already"):
        bring_back(kept, AT, "shop", there)
    with pytest.raises(Refused, match="is no folder to write in"):
        bring_back(kept, AT, "shop", tmp_path / "nowhere" / "shop.zip")
    assert uno.ran == due.ran == []


def test_deleted_files_are_kept_as_long_as_a_database_that_names_them(
    kept: OdooInstance, instance: OdooInstance
) -> None:
    assert instance.trash_days == 30
    assert kept.trash_days == 30
    long = kept.model_copy(update={"time_machine": TimeMachine(days=60, limit_gb=1, base_days=10)})
    assert long.trash_days == 71
    few = kept.model_copy(update={"filestore": Filestore(retention_days=1)})
    assert few.trash_days == 15
