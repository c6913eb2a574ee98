"""What was kept aside is named by the move that did it, and deleted after its retention."""

import json
import time
from datetime import UTC, datetime

from blocks.instance import OdooInstance
from tasks import bare, forensics
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts, control

HOME = "/var/lib/postgresql/13"
OLD, RECENT, NEW = (f"{HOME}/main.quarantine-{each}" for each in ("1-0-1", "2-0-2", "3-0-3"))
DAY = 86400


def _origin(*there: str) -> FakeHost:
    """An origin with these directories."""
    return FakeHost(
        "uno",
        {
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
            "read */failover.json": json.dumps({"time": datetime.now(UTC).isoformat()}),
            "read */notes/aside.json": json.dumps({"seen": seen}),
            "*": "",
        },
    )


def test_only_what_this_move_has_kept_aside_is_named(instance: OdooInstance, hosts: Hosts) -> None:
    hosts(_origin(OLD, NEW), _recovery(old=3))

    with bare.without_server():
        said = forensics.kept(instance, instance.origin)

    assert NEW in said
    assert OLD not in said


def test_what_is_older_than_its_retention_is_deleted_and_the_new_is_counted_from_now_on(
    instance: OdooInstance, hosts: Hosts
) -> None:
    days = instance.replication.quarantine_days
    uno, due = _origin(OLD, RECENT, NEW), _recovery(old=days + 1, recent=days - 1)
    hosts(uno, due)

    with bare.without_server():
        forensics.purge(instance, instance.origin)

    gone = [asked for asked in uno.changes if "quarantine" in asked and "find" not in asked]
    assert gone == [f"rm -rf --one-file-system {OLD}"]
    assert any("notes/aside.json" in asked for asked in due.changes), "the new one is noted down"
