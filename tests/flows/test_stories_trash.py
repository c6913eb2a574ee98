"""The trash is deleted after its retention, and no clock that is wrong once deletes it before."""

import json
import time

from blocks.instance import OdooInstance
from tasks.filestore import trash
from tasks.run import terminal
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts

DAY = 86400


def _recovery(*days: str, seen: dict[str, float], ago: float) -> FakeHost:
    """A recovery host with these days in the trash, which were looked at so long ago."""
    noted = {"at": time.time() - ago, "seen": {name: age * DAY for name, age in seen.items()}}
    return FakeHost(
        "due",
        {
            "find */trash *": "".join(f"{name}\0" for name in days),
            "read */notes/trash.json": json.dumps(noted),
            "*": "",
        },
    )


def _purge(instance: OdooInstance, hosts: Hosts, due: FakeHost) -> list[str]:
    hosts(FakeHost("uno", {}), due)
    with terminal.without_server():
        trash.purge(instance)
    return [asked for asked in due.ran if asked.startswith("rm -rf")]


def test_a_clock_that_is_forty_days_ahead_once_deletes_nothing(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = _recovery("2026-11-28", "2026-11-27", seen={"2026-11-27": 1}, ago=40 * DAY)
    assert _purge(instance, hosts, due) == []


def test_a_day_that_has_lain_there_for_its_retention_is_deleted(
    instance: OdooInstance, hosts: Hosts
) -> None:
    kept = instance.filestore.retention_days
    due = _recovery("old", "new", seen={"old": kept, "new": kept - 2}, ago=7200)
    assert _purge(instance, hosts, due) == [
        f"rm -rf --one-file-system -- {instance.trash}/old",
    ]
    assert any(asked.startswith("install") and "notes/trash.json" in asked for asked in due.ran)


def test_what_a_day_takes_is_noted_with_it(instance: OdooInstance, hosts: Hosts) -> None:
    due = _recovery("a", "b", seen={"a": 1}, ago=7200)
    due.answers = {"nice *": f"4096\t{instance.trash}/a\n9\t/elsewhere\n", **due.answers}
    _purge(instance, hosts, due)
    assert json.loads(due.wrote[-1])["sizes"] == {"a": 4096}


def test_a_day_that_is_over_is_measured_once(instance: OdooInstance, hosts: Hosts) -> None:
    due = _recovery("2026-11-26", "2026-11-27", "2026-11-28", seen={}, ago=7200)
    noted = {"at": time.time() - 7200, "seen": {}, "sizes": {"2026-11-26": 5, "2026-11-01": 6}}
    due.answers = {**due.answers, "read */notes/trash.json": json.dumps(noted)}
    _purge(instance, hosts, due)
    (measured,) = (asked for asked in due.ran if asked.startswith("nice "))
    assert measured.endswith(f" -- {instance.trash}/2026-11-27 {instance.trash}/2026-11-28")
    assert json.loads(due.wrote[-1])["sizes"] == {"2026-11-26": 5}


def test_a_trash_that_was_just_looked_at_is_left(instance: OdooInstance, hosts: Hosts) -> None:
    due = _recovery("old", seen={"old": 400}, ago=60)
    assert _purge(instance, hosts, due) == []
