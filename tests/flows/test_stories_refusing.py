"""What a procedure refuses, it refuses before it has changed anything."""

import pytest

from blocks.errors import Busy, CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance
from blocks.lease import HELD, Lease, require_lease
from flows.failover import failover
from flows.replicate import replicate
from flows.rsync_filestore import rsync_filestore
from tasks.authority import fence, stage
from tasks.authority.promotable import require_ready
from tasks.filestore.copies import Kind
from tasks.receipts import receipts
from tasks.receipts.receipt import Receipt
from tasks.run import terminal
from tasks.serving import dns, provider
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, begun, control, dead, serving, standby

EXPOSURE = (
    '[{"commit": 1800000000.0, "now": 1800000012.5, "next_xid": 700, '
    '"sent": "0/3000100", "received": "0/3000000"}]'
)
LAST = {
    "SELECT extract(epoch FROM pg_last_xact_replay_timestamp())*": EXPOSURE,
    "SELECT greatest(pg_last_wal_receive_lsn()*": "0/3000000\n",
}
LOCK = "hold vps_1 failover 30"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"origin_is_down": True}, id="no_reason"),
        pytest.param({"origin_is_down": True, "reason": " "}, id="a_blank_reason"),
        pytest.param({"reason": "it is dead"}, id="only_a_reason"),
    ],
)
def test_failover_from_a_silent_origin_wants_a_yes_and_changes_nothing_without_one(
    instance: OdooInstance, hosts: Hosts, said: dict[str, object]
) -> None:
    uno, due = dead(), FakeHost("due", standby() | LAST)
    hosts(uno, due)

    with pytest.raises(Refused, match=r"last 12\.5 s .*an unknown amount of WAL") as refused:
        failover(instance, **said)  # type: ignore[call-overload]

    assert "origin_is_down and a reason" in refused.value.hint
    assert due.changes == [LOCK]
    assert set(uno.ran) == {"true"}


def test_an_origin_whose_wal_goes_on_arriving_is_not_down_whatever_is_said_of_it(
    instance: OdooInstance, hosts: Hosts
) -> None:
    heard: dict[str, Answer] = {"SELECT max(last_msg_receipt_time)*": ["10:00:01\n", "10:00:02\n"]}
    uno, due = dead(), FakeHost("due", heard | standby())
    hosts(uno, due)

    with pytest.raises(Refused, match=r"running: due received WAL .* at 10:00:02") as refused:
        failover(instance, origin_is_down=True, reason="its ssh is dead")

    assert "power it off" in refused.value.hint
    assert due.changes == [LOCK]


def test_failover_to_a_standby_that_was_never_built_changes_nothing(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno, due = dead(), FakeHost("due", standby() | {"missing *": "/srv/vps_1/odoo.conf\n"})
    hosts(uno, due)

    with pytest.raises(Refused, match="was never built there"):
        failover(instance, origin_is_down=True, reason="the disk burnt")

    assert due.changes == [LOCK]


def test_failover_to_a_copy_of_another_cluster_changes_nothing(
    instance: OdooInstance, hosts: Hosts
) -> None:
    other = {"read /var/lib/relevo/vps_1/identity.json": '{"system_identifier": "1"}'}
    uno, due = dead(), FakeHost("due", standby() | other)
    hosts(uno, due)

    with pytest.raises(Refused, match="not the copy 1 of the origin"):
        failover(instance, origin_is_down=True, reason="the disk burnt")

    assert due.changes == [LOCK]


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        ('{"version": 2}', r"was written by a newer Relevo \(version 2, this one knows 1\)"),
        ('{"time": "2026-11-28T12:00:00+00:00"}', "is spoiled: exposure: Field required"),
        ("{", "is spoiled: "),
    ],
)
def test_a_move_that_is_noted_and_not_understood_is_not_taken_for_none(
    instance: OdooInstance, hosts: Hosts, noted: str, said: str
) -> None:
    path = "/var/lib/relevo/vps_1/failover.json"
    uno, due = dead(), FakeHost("due", {f"read {path}": noted, **serving()})
    hosts(uno, due)

    with pytest.raises(Refused, match=f"the record {path} on due {said}"):
        failover(instance, origin_is_down=True, reason="the disk burnt")

    assert due.changes == [LOCK]


def test_failover_to_a_cluster_that_somebody_else_promoted_changes_nothing(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno, due = dead(), FakeHost("due", serving())
    hosts(uno, due)

    with pytest.raises(Refused, match="no failover of Relevo promoted it"):
        failover(instance, origin_is_down=True, reason="the disk burnt")

    assert due.changes == [LOCK]


@pytest.mark.parametrize("kind", ["filestore", "sources", "requirements"])
def test_a_copy_refuses_while_the_recovery_host_serves_and_does_not_ask_the_origin(
    instance: OdooInstance, hosts: Hosts, kind: Kind
) -> None:
    uno, due = FakeHost("uno"), FakeHost("due", serving())
    hosts(uno, due)

    with pytest.raises(Busy, match="copying from the origin could overwrite what they have"):
        rsync_filestore(instance, kind)

    assert due.changes == ["hold vps_1 rsync-filestore 30"]
    assert uno.ran == []


def test_a_copy_while_the_standby_is_down_fails_and_is_no_refusal(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """A refusal wakes somebody, for it does not heal by itself."""
    stopped = {"look 13 vps_1 *": "5433 down unknown /var/lib/postgresql/13/vps_1\n"}
    hosts(FakeHost("uno"), FakeHost("due", standby() | stopped))

    with pytest.raises(CommandFailed, match="of vps_1 on due is down") as failed:
        rsync_filestore(instance)

    assert failed.value.hint.startswith("run systemctl start postgresql@13-vps_1.service")


def test_a_second_holder_of_the_lock_is_told_the_name_of_the_first(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno, due = FakeHost("uno"), FakeHost("due", {"hold vps_1 * 30": "busy 4711 failback"})
    hosts(uno, due)

    with pytest.raises(
        Busy, match="vps_1 is locked by a running procedure on due: 4711 failback"
    ) as busy:
        rsync_filestore(instance)

    assert "a dead worker's lock is free after 30 s" in busy.value.hint
    assert set(due.ran) == {"hold vps_1 rsync-filestore 30"}


def test_a_failover_ends_a_copy_that_holds_the_lock_and_goes_on(
    instance: OdooInstance, hosts: Hosts
) -> None:
    answers = (
        standby()
        | LAST
        | {
            "hold vps_1 * 30": "held 1 rsync-filestore",
            "systemctl stop relevo-vps_1-*.service": 0,
            "systemctl reset-failed relevo-vps_1-*.service": 0,
        }
    )
    uno, due = dead(), FakeHost("due", answers)
    hosts(uno, due)

    with pytest.raises(Refused, match="failing over now may lose"):
        failover(instance)

    assert due.changes[:2] == [LOCK, "systemctl stop relevo-vps_1-filestore.service"]
    assert due.changes.count(LOCK) == 1, "the turn moves first, in one question"


def test_a_failover_does_not_end_another_failover(instance: OdooInstance, hosts: Hosts) -> None:
    uno, due = dead(), FakeHost("due", {"hold vps_1 * 30": "busy 4711 failover"})
    hosts(uno, due)

    with pytest.raises(Busy, match="4711 failover"):
        failover(instance)

    assert set(due.ran) == {LOCK}


def test_replicate_names_everything_that_is_missing_before_it_changes_anything(
    instance: OdooInstance, hosts: Hosts
) -> None:
    lacking = "/etc/odoo/odoo.conf\nthe unit odoo.service\n"
    uno = FakeHost("uno", {"receipts *": "", "lacking odoo *": lacking, "*": ""})
    due = FakeHost("due", standby() | {"lacking odoo *": "the command nginx\n", "bound *": 0})
    hosts(uno, due)

    with pytest.raises(Refused) as refused:
        replicate(instance)

    for what in ("uno lacks /etc/odoo/odoo.conf", "uno lacks the unit", "due lacks the command"):
        assert what in refused.value.message
    assert uno.changes == []
    assert due.changes == ["hold vps_1 replicate 30"]


@pytest.mark.parametrize(
    ("holder", "opened"),
    [
        pytest.param("", True, id="nobody"),
        pytest.param(Unreachable("due did not answer", hint=""), True, id="nobody_can"),
        pytest.param("failover\n", False, id="another"),
    ],
)
def test_a_run_that_lost_its_lock_opens_the_door_again_unless_another_run_holds_it(
    instance: OdooInstance, hosts: Hosts, holder: Answer, opened: bool
) -> None:
    primary = "5432 online f /var/lib/postgresql/13/main\n" + control("in_production")
    down = {
        "systemctl is-active odoo.service": "inactive\n", "look 13 main *": primary,
        "SELECT NOT pg_is_in_recovery()": "t\n", "*": "",
    }  # fmt: skip
    uno, due = FakeHost("uno", down), FakeHost("due", {"holder /run/relevo/vps_1": holder})
    hosts(uno, due)

    with terminal.without_server(), pytest.raises(Busy, match="lost its lock"):
        _lose_the_lock_behind_a_closed_door(instance)

    assert ("systemctl start odoo.service" in uno.ran) is opened


def _lose_the_lock_behind_a_closed_door(instance: OdooInstance) -> None:
    mine = Lease(instance.name)
    token = HELD.set(mine)
    try:
        with fence.closed(instance, instance.origin):
            mine.lost = True
            require_lease()
    finally:
        HELD.reset(token)


def test_a_leader_that_is_down_is_not_started_beside_an_origin_that_is_merely_silent(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have promoted the origin by hand, past every receipt."""
    handed_over = Receipt("vps_1", 2, "demotion", "origin", "recovery", "7", 1, "0/30", "noon")
    monkeypatch.setattr(receipts, "newest", lambda _: handed_over)
    moved = {"read /var/lib/relevo/vps_1/failover.json": begun()}
    fallen = "5433 down unknown /pg/vps_1\n" + control("in_production")
    back = "5433 online f /pg/vps_1\n" + control("in_production")
    looks: dict[str, Answer] = {"look 13 vps_1 *": [*[fallen] * 5, back]}
    due = FakeHost("due", looks | moved | {"systemctl *": ""})
    hosts(dead(), due)

    with terminal.without_server():
        with pytest.raises(Refused, match=r"whose PostgreSQL is down, and uno .* not answer"):
            stage.start_fallen_primary(instance)
        assert due.changes == []
        stage.start_fallen_primary(instance, origin_is_down=True)

    assert due.changes[-1] == "systemctl start postgresql@13-vps_1.service"


HIGH_ENOUGH = '[{"name": "max_connections", "setting": "100"}]'
PAUSED: dict[str, Answer] = {
    "SELECT pg_is_wal_replay_paused()": "t\n",
    "SELECT name, setting FROM pg_settings*": (
        '[{"name": "max_connections", "setting": "50"},'
        ' {"name": "max_worker_processes", "setting": "8"}]'
    ),
}


def test_replay_that_limits_have_paused_is_never_resumed_but_both_values_are_named(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """A standby that is resumed then stops: that hint of ours once did it."""
    hosts(dead(), FakeHost("due", standby() | PAUSED))

    with pytest.raises(Refused, match="max_connections is 50 there and must be 100") as refused:
        require_ready(instance)

    assert "resume" not in str(refused.value)
    assert refused.value.hint.startswith("run replicate")


def test_replay_that_somebody_has_paused_is_theirs(instance: OdooInstance, hosts: Hosts) -> None:
    enough = {"SELECT name, setting FROM pg_settings*": HIGH_ENOUGH}
    hosts(dead(), FakeHost("due", standby() | PAUSED | enough))

    with pytest.raises(Refused, match="replay is paused on due") as refused:
        require_ready(instance)

    assert "find out who paused it" in refused.value.hint


def test_a_run_that_lost_its_lock_points_no_domain(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider of DNS does not know whose turn it is."""
    asked: list[str] = []
    monkeypatch.setattr(provider, "change", lambda *_: asked.append("changed"))
    monkeypatch.setattr(dns, "_note", lambda *_: None)
    hosts(FakeHost("uno"), FakeHost("due"))
    token = HELD.set(Lease(instance.name, lost=True))
    try:
        with terminal.without_server(), pytest.raises(Busy, match="lost its lock"):
            dns.point(instance, instance.recovery)
    finally:
        HELD.reset(token)
    assert asked == []


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param(
            {"ss -Hltn *": "LISTEN 0 128 0.0.0.0:8069 0.0.0.0:*\n"},
            "odoo.service on uno is down, and nothing listens at port 8069",
            id="a_script_that_stops_nothing",
        ),
        pytest.param(
            {"ss -Hltn *": "", "systemctl is-enabled *": "enabled\n"},
            "still starts at boot",
            id="a_unit_that_stays_enabled",
        ),
    ],
)
def test_odoo_is_stopped_only_when_nobody_answers_at_its_port_and_no_boot_starts_it(
    instance: OdooInstance,
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, Answer],
    said: str,
) -> None:
    """A service of /etc/init.d is down for systemd as soon as its script has ended."""
    monkeypatch.setattr(fence, "STOP_SECONDS", 0.2)
    uno = FakeHost("uno", answers | {"systemctl is-active *": "inactive\n", "systemctl *": ""})
    hosts(uno, FakeHost("due"))

    with pytest.raises(CommandFailed, match=said):
        fence.stop_odoo(instance.origin)

    assert "systemctl stop odoo.service" in uno.ran
