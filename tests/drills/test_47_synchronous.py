"""Commits that wait for the recovery host: nothing acknowledged is lost, no wait is secret."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance, Synchronous
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from tasks.board import board
from tasks.run import terminal
from tasks.synchronous import synchronous, synchronous_state
from tests.lab.client import Client, audit, longest_outage_seconds
from tests.lab.inventory import GO_ON_SECONDS
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers

NAMES = 'FIRST 1 ("vps_uno")'


@pytest.fixture
def waiting(
    uno: Pair, blocks: dict[str, OdooInstance]
) -> Iterator[Callable[[Synchronous], OdooInstance]]:
    """Let commits wait as a policy says, as replicate does at its end; and no more, at the end."""

    def apply(policy: Synchronous) -> OdooInstance:
        plain = blocks["vps_uno"]
        wanted = plain.replication.model_copy(update={"synchronous": policy})
        instance = plain.model_copy(update={"replication": wanted})
        with terminal.without_server():
            synchronous.apply(instance)
        uno.synchronous = policy != "off"
        return instance

    yield apply
    with suppress(RelevoError):
        apply("off")


def _at_rest(pair: Pair) -> bool:
    return pair.at_origin("SHOW synchronous_standby_names") == ""


def test_where_commits_always_wait_a_forced_failover_loses_nothing_that_was_acknowledged(
    uno: Pair,
    waiting: Callable[[Synchronous], OdooInstance],
    customer: Callable[[Pair], Client],
) -> None:
    """The network between the two breaks first: the worst that can happen to a standby."""
    instance, origin = waiting("wait"), uno.origin.machine
    assert uno.at_origin("SHOW synchronous_standby_names") == NAMES
    client = customer(uno)
    uno.lab.partition(origin, uno.recovery)
    time.sleep(1)
    acknowledged = client.acknowledged
    time.sleep(4)
    assert client.acknowledged == acknowledged, "nothing is acknowledged that is not on both"
    stands = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    assert uno.at_origin(stands) == "t"
    origin.crash()

    planned = failover(instance, decide="plan only").facts
    assert planned["what would be lost"].startswith("nothing: every commit that was acknowledged")
    assert planned["commits wait for respaldo"].startswith("always, since ")
    with pytest.raises(Refused, match="does not answer"):
        failover(instance)
    done = failover(instance, origin_is_down=True, reason="drill")
    assert done.facts["may be lost"].startswith("nothing: every commit that was acknowledged")
    client.move_to(uno.recovery.address, uno.http_port)
    client.wait_until_acknowledged(10)
    assert audit(uno.recovery.address, uno.http_port, client.journal).lost_rows == []

    uno.lab.mend(origin, uno.recovery)
    origin.boot()
    failback(instance)
    client.move_to(*uno.origin.odoo)
    client.wait_until_acknowledged(10)
    client.stop()
    home = audit(*uno.origin.odoo, client.journal)
    assert home.whole
    assert "commits have waited for respaldo since" in check(instance).facts["commits wait"]
    no_strangers(uno)
    waiting("off")
    assert _at_rest(uno)
    no_strangers(uno)
    print(f"{len(home.acknowledged)} documents, none lost")


def test_where_commits_may_go_on_they_do_after_the_seconds_that_were_stated_and_say_so(
    uno: Pair,
    waiting: Callable[[Synchronous], OdooInstance],
    customer: Callable[[Pair], Client],
) -> None:
    waiting("wait")
    instance = waiting("go_on")
    client, unit = customer(uno), f"postgresql@{uno.origin.version}-vps_uno"
    uno.recovery.run("systemctl", "stop", unit)
    client.wait_until_acknowledged(5)
    waited = longest_outage_seconds(client.journal)
    assert GO_ON_SECONDS - 2 < waited < GO_ON_SECONDS + 6
    assert _at_rest(uno)
    with pytest.raises(Refused, match="uno has committed without respaldo since 20") as refused:
        check(instance)
    assert f"commits go on after {GO_ON_SECONDS} s without respaldo" in str(refused.value)
    uno.recovery.run("systemctl", "start", unit)
    wait_until(uno.is_home, "the recovery host follows again", 60)
    wait_until(
        lambda: synchronous_state.last_notice(instance).holds,
        "commits wait again by themselves",
        60,
    )
    client.wait_until_acknowledged(5)
    time.sleep(2)
    with terminal.without_server():
        seen, colour, why = board.measure([instance])[0]
    assert seen.synchronous, (colour, why)
    assert "uno committed alone from 20" in check(instance).facts["commits wait"]

    uno.origin.machine.crash()
    stated = failover(instance, decide="plan only").facts["what would be lost"]
    assert " before this plan" in stated
    assert " commits waited for this host." in stated
    uno.origin.machine.boot()
    wait_until(uno.is_home, "the recovery host follows again", 60)
    client.wait_until_acknowledged(5)
    client.stop()
    assert audit(*uno.origin.odoo, client.journal).lost_rows == []
    waiting("off")
    no_strangers(uno)
    print(f"customers waited {waited:.1f} s")
