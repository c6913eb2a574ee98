"""Commits that wait for the recovery host: what is said of them, and what is refused."""

import json

import pytest

from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance, Synchronous
from tasks.board import board
from tasks.run import terminal
from tasks.synchronous import synchronous
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts

STATE = "read /var/lib/relevo/vps_1/synchronous.json"
CONFIG = "read /etc/relevo/synchronous/vps_1/config.json"
NAMES = "SELECT name, setting FROM pg_settings * <- ['synchronous_standby_names']"
STREAMS = "SELECT FROM pg_stat_*"
ON = json.dumps([{"name": "synchronous_standby_names", "setting": 'FIRST 1 ("vps_1")'}])
OFF = json.dumps([{"name": "synchronous_standby_names", "setting": ""}])


def waiting(instance: OdooInstance, policy: Synchronous) -> OdooInstance:
    roles = instance.replication.model_copy(update={"synchronous": policy})
    return instance.model_copy(update={"replication": roles})


def test_without_the_recovery_host_the_board_still_says_how_the_commits_stand(
    instance: OdooInstance, hosts: Hosts
) -> None:
    state = {"state": "gone on", "since": "2027-01-15T08:00:00Z", "covered": ""}
    uno = FakeHost("uno", {STATE: json.dumps(state), "look 13 main *": Unreachable("busy")})
    hosts(uno, FakeHost("due", {"*": Unreachable("due did not answer")}))

    with terminal.without_server():
        _, colour, why = board.measure([waiting(instance, "go_on")])[0]

    assert colour == "red"
    assert "uno has committed without due since 2027-01-15T08:00:00Z" in "; ".join(why)


@pytest.mark.parametrize("wanted", ["off", "go_on"])
def test_no_policy_is_changed_behind_the_back_of_a_recovery_host_that_is_away(
    instance: OdooInstance, hosts: Hosts, wanted: Synchronous
) -> None:
    """It would go on to say that nothing can be lost."""
    before = {"policy": "wait", "seconds": 30, "role": "replica_user"}
    uno = FakeHost("uno", {CONFIG: json.dumps(before), "missing *": "", NAMES: ON, STREAMS: "[]"})
    hosts(uno, FakeHost("due"))

    with (
        terminal.without_server(),
        pytest.raises(Refused, match="must be told of this change first") as refused,
    ):
        synchronous.apply(waiting(instance, wanted))

    assert "config.json release" in str(refused.value)
    assert uno.changes == []


def test_a_program_that_does_not_stop_is_not_taken_for_one_that_has(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """It would have commits wait again, for a recovery host that has forgotten the instance."""
    uno = FakeHost("uno", {
        "missing *": "", NAMES: OFF, "systemctl disable --now *": 1,
        "systemctl is-active relevo-synchronous-vps_1.service": "active\n", "*": "",
    })  # fmt: skip
    hosts(uno, FakeHost("due"))

    with terminal.without_server(), pytest.raises(CommandFailed, match="does not stop"):
        synchronous.leave(instance, recovery_is_gone=True)

    assert uno.changes == ["systemctl disable --now relevo-synchronous-vps_1.service"]


def test_where_nothing_ever_waited_nothing_is_done(instance: OdooInstance, hosts: Hosts) -> None:
    lacks = "/u\n/f\n/s\n/j\n"
    uno = FakeHost("uno", {"missing *": lacks})
    hosts(uno, FakeHost("due"))

    with terminal.without_server():
        synchronous.apply(instance)

    assert len(uno.ran) == 1
