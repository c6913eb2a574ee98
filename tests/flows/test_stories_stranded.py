"""A move died in the middle: whoever has the newest receipt is started, and nobody else."""

import json

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.authority import stage
from tasks.receipts import receipts
from tasks.receipts.receipt import Receipt, Side
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, begun, control, dead, identity

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
        with pytest.raises(Refused, match="the cluster on uno is a different cluster") as refused:
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
