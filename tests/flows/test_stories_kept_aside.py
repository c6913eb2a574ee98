"""What was kept aside is named by the move that did it, and deleted after its retention."""

import json
import time
from datetime import UTC, datetime

from blocks.instance import OdooInstance
from tasks.run import terminal
from tasks.standby import diverged
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts, begun, control

HOME = "/var/lib/postgresql/13"
OLD, RECENT, NEW = (f"{HOME}/main.quarantine-{each}" for each in ("1-0-1", "2-0-2", "3-0-3"))
DAY = 86400


def _origin(*there: str, **summaries: str) -> FakeHost:
    """An origin with these directories, and what was found to be only there."""
    names = {"old": OLD, "new": NEW}
    return FakeHost(
        "uno",
        {
            **{f"read {names[name]}.only-here/*": text for name, text in summaries.items()},
            "look 13 main *": f"5432 online f {HOME}/main\n" + control("in_production"),
            f"find {HOME} *": "".join(f"{path}\0" for path in there),
            "*": "",
        },
    )


def _recovery(**days_ago: float) -> FakeHost:
    """A recovery host that has seen some of them so many days ago."""
    names = {"old": OLD, "recent": RECENT}
    seen = {names[name]: time.time() - days * DAY for name, days in days_ago.items()}
    return FakeHost(
        "due",
        {
            "read */failover.json": begun(datetime.now(UTC).isoformat()),
            "read */notes/aside.json": json.dumps({"seen": seen}),
            "*": "",
        },
    )


def test_only_what_this_move_has_kept_aside_is_named(instance: OdooInstance, hosts: Hosts) -> None:
    hosts(_origin(OLD, NEW), _recovery(old=3))

    with terminal.without_server():
        said = diverged.kept(instance, instance.origin)

    assert NEW in said
    assert OLD not in said


def test_what_is_older_than_its_retention_is_deleted_and_the_new_is_counted_from_now_on(
    instance: OdooInstance, hosts: Hosts
) -> None:
    days = instance.replication.quarantine_days
    uno, due = _origin(OLD, RECENT, NEW), _recovery(old=days + 1, recent=days - 1)
    hosts(uno, due)

    with terminal.without_server():
        diverged.purge(instance, instance.origin)

    gone = [asked for asked in uno.changes if "quarantine" in asked and "find" not in asked]
    assert gone == [f"rm -rf --one-file-system {OLD}"]
    assert any("notes/aside.json" in asked for asked in due.changes), "the new one is noted down"


def test_one_clock_alone_deletes_nothing(instance: OdooInstance, hosts: Hosts) -> None:
    """The runner's may have been years behind when it first saw what is kept, or be ahead now."""
    days = instance.replication.quarantine_days
    uno = _origin(OLD, NEW)
    uno.answers = {f"find {HOME} * -ctime +{days} *": "", **uno.answers}
    hosts(uno, _recovery(old=days + 1))

    with terminal.without_server():
        diverged.purge(instance, instance.origin)

    assert [asked for asked in uno.changes if asked.startswith("rm ")] == []


def _summary(**facts: object) -> str:
    found = {
        "fork": "0/3", "transactions": 0, "first": "", "last": "", "tables": [],
        "reaches_back": True, "unread": [],
    }  # fmt: skip
    return json.dumps({**found, **facts})


def test_where_nothing_was_committed_after_the_fork_nothing_is_kept(
    instance: OdooInstance, hosts: Hosts
) -> None:
    there = (OLD, f"{OLD}.only-here", NEW, f"{NEW}.only-here")
    uno = _origin(*there, old=_summary(), new=_summary(transactions=1))
    hosts(uno, _recovery(old=1))

    with terminal.without_server():
        said = diverged.kept(instance, instance.origin)
        diverged.purge(instance, instance.origin)

    assert OLD not in said
    assert NEW in said
    gone = [asked for asked in uno.changes if asked.startswith("rm ")]
    assert gone == [f"rm -rf --one-file-system {path}" for path in there[:2]]


def test_why_nothing_was_written_down_of_it_is_said(instance: OdooInstance, hosts: Hosts) -> None:
    uno = _origin(NEW)
    failure = "divergence failed on uno:\nmore\nno room\n"
    uno.answers = {f"read {NEW}.only-here/failure.txt*": failure, **uno.answers}
    hosts(uno, _recovery())

    with terminal.without_server():
        said = diverged.kept(instance, instance.origin)

    assert "were not written down, because divergence failed on uno: no room" in said


def test_what_could_not_be_read_through_is_kept(instance: OdooInstance, hosts: Hosts) -> None:
    uno = _origin(
        OLD, NEW, old=_summary(unread=["cliente1: why"]), new=_summary(reaches_back=False)
    )
    hosts(uno, _recovery())

    with terminal.without_server():
        diverged.purge(instance, instance.origin)

    assert [asked for asked in uno.changes if asked.startswith("rm ")] == []
