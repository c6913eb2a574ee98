"""A move died in the middle: whoever has the newest receipt is started, and nobody else."""

import json

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.failover import failover
from tasks.authority import demotion, exposure, stage
from tasks.receipts import receipt_files, receipts
from tasks.receipts.receipt import Receipt, Side
from tasks.receipts.receipt_files import Kept
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, begun, control, dead, identity, serving
from tests.flows.test_stories_refusing import LAST

AT = "2027-01-15T08:00:00Z"
MOVED: dict[str, Answer] = {"read /var/lib/relevo/vps_1/failover.json": begun()}
ENDED = "5433 down unknown /pg/vps_1\n" + control("shut_down")
DOWN = "5432 down unknown /pg/main\n" + control("in_archive_recovery")
SYSTEM = json.loads(identity("shut_down"))["system_identifier"]


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest receipt is the origin's."""
    giver: Side = "recovery"
    known = Receipt("vps_1", 3, "demotion", giver, "origin", SYSTEM, 2, "0/30", "noon")
    monkeypatch.setattr(receipts, "newest", lambda _: known)


@pytest.mark.usefixtures("handed")
def test_a_hand_over_goes_on_where_both_are_down(instance: OdooInstance, hosts: Hosts) -> None:
    hosts(
        FakeHost("uno", {"look 13 main *": DOWN}),
        FakeHost("due", {**MOVED, "look 13 vps_1 *": ENDED}),
    )

    with terminal.without_server():
        assert stage.how_far(instance) == "handing over"
        assert not stage.leader_is_down(instance)
        assert not stage.is_stranded(instance)
        assert "was never finished" in stage.half_done(instance)


@pytest.mark.usefixtures("handed")
def test_an_origin_that_was_made_anew_is_given_nothing(
    instance: OdooInstance, hosts: Hosts
) -> None:
    other = DOWN.replace(SYSTEM, "1")
    hosts(
        FakeHost("uno", {"look 13 main *": other}),
        FakeHost("due", {**MOVED, "look 13 vps_1 *": ENDED}),
    )

    with terminal.without_server():
        with pytest.raises(Refused, match="the cluster on uno is another one") as refused:
            stage.how_far(instance)
        assert stage.is_stranded(instance), "a failover starts the recovery host"

    assert "run failover with origin_is_down" in refused.value.hint


@pytest.mark.usefixtures("handed")
def test_a_recovery_host_starts_as_a_standby_where_the_origin_has_died_for_good(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Were the origin alive after all, two would accept writes before the receipt is there."""
    back = "5433 online t /pg/vps_1\n" + control("in_archive_recovery")
    due = FakeHost("due", {
        **MOVED, "look 13 vps_1 *": [*[ENDED] * 6, back], "systemctl *": "",
        "read /pg/vps_1/postgresql.auto.conf": "", "test -e *": 1, "install *": "",
        "getent *": "postgres:x:101:101::/var/lib/postgresql:/bin/bash\n", "grep *": "",
    })  # fmt: skip
    hosts(dead(), due)

    with terminal.without_server():
        with pytest.raises(Refused, match="a failback gave uno the write right"):
            stage.start_fallen_primary(instance)
        assert due.changes == []
        stage.start_fallen_primary(instance, origin_is_down=True)

    installed = [asked for asked in due.changes if asked.startswith("install ")]
    assert any("standby.signal" in each for each in installed)
    assert due.changes[-1] == "systemctl start postgresql@13-vps_1.service"


def leading(timeline: int) -> dict[str, Answer]:
    said = {"position": "0/5000000", "segment": f"{timeline:08X}000000000000000A",
            "system_identifier": SYSTEM}  # fmt: skip
    return {"SELECT pg_current_wal_lsn() AS position*": json.dumps([said]), "SELECT pg_read_*": ""}


FOLLOWS = "5433 online t /pg/vps_1\n" + control("in_archive_recovery")
STOPPED = FOLLOWS.replace("online t", "down unknown")
WAITS = "5432 online t /pg/main\n" + control("in_archive_recovery")
LEADS = "5433 online f /pg/vps_1\n" + control("in_production")
SERVES = "5432 online f /pg/main\n" + control("in_production")
ENDS = "SELECT greatest(pg_last_wal_receive_lsn()*"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Receipt:
    """The newest receipt is the origin's: the recovery host ended at 0/2000060 of timeline 1."""
    giver: Side = "recovery"
    known = Receipt("vps_1", 3, "demotion", giver, "origin", SYSTEM, 1, "0/2000060", AT)
    monkeypatch.setattr(receipts, "newest", lambda _: known)
    asked = receipts.Asked({"recovery": Kept({3: known}, known, 0)})
    monkeypatch.setattr(receipts, "ask", lambda *_, **__: asked)
    monkeypatch.setattr(receipts, "publish", lambda *_, **__: None)
    monkeypatch.setattr(receipt_files, "history", lambda *_: [known])
    return known


@pytest.mark.parametrize("recovery", [FOLLOWS, STOPPED], ids=["follows", "went down again"])
def test_an_origin_that_came_back_as_a_standby_gets_what_the_receipt_gives_it(
    instance: OdooInstance, hosts: Hosts, given: Receipt, recovery: str
) -> None:
    """A failover that was refused had started the recovery host as a standby: it wrote nothing."""
    uno = FakeHost("uno", {"look 13 main *": WAITS, ENDS: "0/20000D8\n"})
    due = FakeHost("due", {
        **MOVED, "look 13 vps_1 *": recovery, ENDS: "0/20000D8\n", "install *": "", "test -e *": 1,
        "getent *": "postgres:x:101:101::/var/lib/postgresql:/bin/bash\n",
    })  # fmt: skip
    hosts(uno, due)

    with terminal.without_server():
        assert stage.how_far(instance) == "handing over"
        demotion.demote(instance, instance.recovery, instance.origin)
        receipts.require(instance, instance.recovery, instance.origin)

    assert not [each for each in due.changes if "stop" in each]


def test_an_origin_that_lacks_what_was_given_away_gets_nothing(
    instance: OdooInstance, hosts: Hosts, given: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demotion, "RECEIVE_SECONDS", 0)
    uno = FakeHost("uno", {"look 13 main *": WAITS, ENDS: "0/2000000\n"})
    hosts(uno, FakeHost("due", {**MOVED, "look 13 vps_1 *": FOLLOWS}))

    with terminal.without_server(), pytest.raises(Refused, match="it has 0/2000000"):
        demotion.demote(instance, instance.recovery, instance.origin)


def test_an_origin_that_was_set_back_is_not_home_though_the_recovery_host_follows(
    instance: OdooInstance, hosts: Hosts, given: Receipt
) -> None:
    """Customers would be served from the older state before anybody saw that nothing follows it."""
    uno = FakeHost("uno", {"look 13 main *": SERVES, **leading(1)})
    hosts(uno, FakeHost("due", {**MOVED, "look 13 vps_1 *": FOLLOWS}))

    with terminal.without_server(), pytest.raises(Refused, match="set back to an older state"):
        stage.how_far(instance)


def test_a_standby_that_went_down_again_is_started_where_the_origin_is_gone(
    instance: OdooInstance, hosts: Hosts, given: Receipt
) -> None:
    due = FakeHost("due", {**MOVED, "look 13 vps_1 *": STOPPED})
    hosts(FakeHost("uno", {"look 13 main *": "", "listens *": ""}), due)

    with terminal.without_server():
        assert stage.is_stranded(instance), "failback refuses it, and failover named failback"


@pytest.mark.parametrize("origin", [SERVES, SERVES.replace("online f", "down unknown")])
def test_nobody_fences_an_origin_for_a_recovery_host_that_was_started_by_hand(
    instance: OdooInstance, hosts: Hosts, given: Receipt, origin: str
) -> None:
    """The failover before it was planned: what is noted of it says that nothing is lost."""
    uno = FakeHost("uno", {"look 13 main *": origin, "receipts *": "", **leading(2)})
    hosts(uno, FakeHost("due", {**MOVED, **leading(1), **serving(), "look 13 vps_1 *": LEADS}))

    for move in (failover, stage.how_far):
        with pytest.raises(Refused, match="was started by hand since") as refused:
            move(instance)
        assert "systemctl stop postgresql@13-vps_1.service" in refused.value.hint
    assert uno.changes == []


def test_one_that_was_started_by_hand_says_what_the_origin_may_have_written_since(
    instance: OdooInstance, hosts: Hosts, given: Receipt
) -> None:
    """And not what an earlier failover has lost."""
    due = FakeHost("due", {
        **MOVED, **leading(1), **LAST, **serving(), "look 13 vps_1 *": LEADS,
    })  # fmt: skip
    hosts(dead(), due)

    with terminal.without_server():
        assert exposure.measure(instance, lossless=False).seconds == 12
    with pytest.raises(Refused, match=r"at most the commits of the last 12\.0 s"):
        failover(instance)


def test_one_that_was_promoted_by_hand_or_whose_origin_only_follows_is_failed_over(
    instance: OdooInstance, hosts: Hosts, given: Receipt
) -> None:
    for origin, timeline in ((SERVES, 3), (WAITS, 1)):
        due = FakeHost("due", {**MOVED, "look 13 vps_1 *": LEADS, **leading(timeline)})
        hosts(FakeHost("uno", {"look 13 main *": origin}), due)
        with terminal.without_server():
            assert stage.how_far(instance) == "failed over"
