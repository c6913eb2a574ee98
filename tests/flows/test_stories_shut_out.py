"""A server that is not silent, and cannot be asked, is not called down."""

import pytest

from blocks.errors import LoginRefused, Refused, RelevoError, ShutOut, Unreachable
from blocks.instance import OdooInstance
from flows.failover import failover
from tasks.authority import fence
from tasks.plan import measure, placeholders, summary
from tasks.postgres import cluster
from tasks.postgres.observe import NoCluster, observe, observe_if_reachable, observe_if_there
from tasks.readiness import at_home, probes
from tasks.readiness.probes import Found
from tasks.run import terminal
from tasks.standby import replica
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, standby
from tests.flows.test_stories_refusing import LAST, LOCK

AT = "2027-01-15T08:00:12Z\n"
OTHER_KEY = ShutOut("the host key of uno has changed", hint="compare it")
NO_LOGIN = LoginRefused("cannot log in to uno: Authentication failed.", hint="put the key there")
# No cluster, and nobody in its place.
WIPED: dict[str, Answer] = {"look 13 main *": "", "listens 5432": "", "true": ""}


def shut(error: RelevoError) -> FakeHost:
    return FakeHost("uno", {"*": error})


def test_another_host_key_is_said_and_no_failover_goes_on_without_a_yes(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno, due = shut(OTHER_KEY), FakeHost("due", standby() | LAST)
    hosts(uno, due)

    with pytest.raises(Refused, match=r"whether uno is down is not known: the host key of"):
        failover(instance)

    assert due.changes == [LOCK]


def test_a_yes_to_another_host_key_counts_as_it_may_be_a_rescue_system(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "AGAIN_SECONDS", 0.5)
    hosts(shut(OTHER_KEY), FakeHost("due", standby()))

    with terminal.without_server():
        assert fence.fence_origin(instance, loss_accepted=True) is False


def test_a_stream_that_begins_again_tells_that_the_origin_is_alive(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """It was broken in the moment in which it was looked at first."""
    heard: dict[str, Answer] = {"SELECT max(last_msg_receipt_time)*": ["\n", "\n", "10:00:02\n"]}
    hosts(shut(OTHER_KEY), FakeHost("due", heard | standby()))

    with (
        terminal.without_server(),
        pytest.raises(Refused, match=r"is still running: due received WAL .* at 10:00:02"),
    ):
        fence.fence_origin(instance, loss_accepted=True)


def test_a_refused_connection_beside_a_stream_may_be_a_ban_and_is_listened_to(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """An idle sender says nothing for half a minute; fail2ban's ban refuses at once."""
    heard: dict[str, Answer] = {
        "SELECT max(last_msg_receipt_time)*": [*["10:00:01\n"] * 20, "10:00:02\n"]
    }
    banned = Unreachable("uno did not answer", hint="see that uno is up")
    banned.__cause__ = ConnectionRefusedError()
    hosts(shut(banned), FakeHost("due", heard | standby()))

    with (
        terminal.without_server(),
        pytest.raises(Refused, match=r"is still running: due received WAL .* at 10:00:02"),
    ):
        fence.fence_origin(instance, loss_accepted=True)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("60000\n", 35), ("1000\n", 35), ("120000\n", 65), ("0\n", 155)]
)
def test_an_idle_stream_is_given_the_time_that_it_takes_to_ask_for_a_word(
    instance: OdooInstance, hosts: Hosts, timeout: str, seconds: float
) -> None:
    """What the origin was set to came along with the base backup, of an older Relevo at least."""
    hosts(FakeHost("uno"), FakeHost("due", {fence.TIMEOUT: timeout}))

    assert fence._asks_within(instance.recovery) == seconds


@pytest.mark.parametrize("said", [{}, {"origin_is_down": True, "reason": "it is dead"}])
def test_a_host_that_refuses_our_login_is_alive_whatever_is_said_of_it(
    instance: OdooInstance, hosts: Hosts, said: dict[str, object]
) -> None:
    due = FakeHost("due", standby() | LAST)
    hosts(shut(NO_LOGIN), due)

    with pytest.raises(Refused, match="uno is running, but the SSH login failed") as refused:
        failover(instance, **said)  # type: ignore[call-overload]

    assert "power uno off" in refused.value.hint
    assert due.changes == [LOCK]


@pytest.mark.parametrize("error", [OTHER_KEY, NO_LOGIN])
def test_check_and_board_say_what_is_not_right(
    instance: OdooInstance, hosts: Hosts, error: ShutOut
) -> None:
    hosts(shut(error), FakeHost("due", standby()))

    with terminal.without_server():
        found, ends = Found(), probes.look_at_both(instance)
        found.take("roles", lambda: at_home.roles(instance, ends))

    assert found.wrong == [f"{error.message}; {error.hint}"]


def test_a_plan_shows_the_sentence_in_the_place_of_silence(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placeholders, "names", lambda *_: {"origin": "uno", "recovery": "due"})
    monkeypatch.setattr(measure, "_with_documents", lambda *given: given[-1])
    answers: dict[str, Answer] = {
        "SELECT pg_last_wal_replay_lsn()*": '[{"replayed": "0/3000000", "seconds": 0}]'
    }
    for error, refused in ((OTHER_KEY, False), (NO_LOGIN, True)):
        hosts(
            shut(error),
            FakeHost(
                "due",
                answers
                | standby()
                | LAST
                | {"date *": AT, "df *": "A B File\n9 9 /var/lib/postgresql/13/vps_1\n"},
            ),
        )
        with terminal.without_server():
            drawn = measure.draw(instance, "failover")

        assert error.message in summary.facts(drawn)["uno (origin)"]
        assert drawn.asks_whether_down
        assert any("is running" in each for each in drawn.situation.refusals) is refused


def test_an_origin_that_has_lost_its_cluster_is_down_and_a_forced_failover_goes_on(
    instance: OdooInstance, hosts: Hosts
) -> None:
    odoo: dict[str, Answer] = {
        "systemctl disable odoo.service": 1,
        "systemctl stop odoo.service": 5,
        "systemctl is-active odoo.service": "inactive\n",
        "systemctl is-enabled odoo.service": "not-found\n",
        "ss -Hltn *": "",
        "receipts *": "",
    }
    uno, due = FakeHost("uno", WIPED | odoo), FakeHost("due", standby() | LAST)
    hosts(uno, due)

    with terminal.without_server():
        assert str(observe_if_reachable(instance.origin)) == "gone"
        assert fence.fence_origin(instance, loss_accepted=True) is False

    assert uno.changes == ["systemctl disable odoo.service", "systemctl stop odoo.service"]


def test_a_cluster_without_its_configuration_that_runs_is_not_gone(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(
        FakeHost("uno", {**WIPED, "listens 5432": "LISTEN 0 244 10.0.0.1:5432\n"}), FakeHost("due")
    )

    with pytest.raises(Refused, match="something listens on its port 5432") as refused:
        observe_if_there(instance.origin)

    assert not isinstance(refused.value, NoCluster)


REFUSES = "5432 online unknown /pg/main postgres\npsql said: psql: error: fe_sendauth: no password"


def test_a_cluster_that_wants_a_password_of_us_is_said_to_and_not_to_be_starting(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(FakeHost("uno", {"look *": REFUSES}), FakeHost("due"))

    assert "no password" in str(observe(instance.origin))
    with terminal.without_server():
        for ask in (replica.require_primary, cluster.wait_until_answering):
            with pytest.raises(Refused, match=r"refuses our login \(psql: .*no pass") as told:
                ask(instance.origin)
            assert "local all postgres peer" in told.value.hint


def test_a_cluster_that_starts_is_waited_for(instance: OdooInstance, hosts: Hosts) -> None:
    starting = REFUSES.replace(
        "fe_sendauth: no password", "FATAL:  the database system is starting up"
    )
    hosts(
        FakeHost("uno", {"look *": [starting, "5432 online f /pg/main postgres\n"]}),
        FakeHost("due"),
    )

    assert cluster.wait_until_answering(instance.origin).is_primary
