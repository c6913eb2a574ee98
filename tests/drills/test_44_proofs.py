"""That nothing is lost, and that an origin is down, is proven by the WAL and not by appearances."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from blocks import ssh_login
from blocks.errors import Refused
from blocks.instance import OdooInstance
from flows.failback import failback
from flows.failover import failover
from tests.lab.client import Client
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers

Blocks = dict[str, OdooInstance]


@contextmanager
def _ssh_shut(pair: Pair) -> Iterator[None]:
    """Let nobody log in any more, as after a ban or with a broken sshd; all else goes on."""
    machine = pair.origin.machine
    keys = f"/home/{machine.ssh_user}/.ssh/authorized_keys"
    machine.run("mv", keys, f"{keys}.away")
    for address in list(ssh_login._transports):
        ssh_login.forget(address)
    try:
        yield
    finally:
        machine.run("mv", f"{keys}.away", keys)


def test_an_origin_whose_ssh_is_shut_and_whose_wal_arrives_is_not_down(
    uno: Pair, blocks: Blocks, customer: Callable[[Pair], Client]
) -> None:
    client = customer(uno)
    with _ssh_shut(uno), pytest.raises(Refused, match="uno is running, but the SSH login failed"):
        failover(blocks[uno.name], origin_is_down=True, reason="nobody can log in")
    client.wait_until_acknowledged(3)
    client.stop()
    assert uno.is_home()
    no_strangers(uno)


def test_an_origin_that_was_set_back_to_an_older_state_has_handed_nothing_over(
    uno: Pair, blocks: Blocks
) -> None:
    """Its last checkpoint lies where the standby has other WAL, which is further along."""
    machine, block = uno.origin.machine, blocks[uno.name]
    version, cluster = uno.lab.generation.postgres, uno.origin.cluster
    unit, data = f"postgresql@{version}-{cluster}", f"/var/lib/postgresql/{version}/{cluster}"

    machine.run("systemctl", "stop", uno.origin.unit, unit)
    machine.run("cp", "-a", data, f"{data}.snapshot")
    machine.run("systemctl", "start", unit)
    uno.at_origin("CREATE TABLE outage AS SELECT generate_series(1, 200000) AS n", "cliente1")
    count = "SELECT count(*) FROM pg_class WHERE relname = 'outage'"
    wait_until(lambda: uno.at_recovery(count, "cliente1") == "1", "it is replayed", 60)
    machine.run("systemctl", "stop", unit)
    machine.run("rm", "-rf", data)
    machine.run("mv", f"{data}.snapshot", data)
    machine.run("systemctl", "start", unit)
    uno.at_origin("CREATE TABLE only_here AS SELECT 1 AS n", "cliente1")
    machine.run("systemctl", "stop", unit)

    with pytest.raises(Refused, match="may lose"):
        failover(block)
    report = failover(block, origin_is_down=True, reason="set back by the hoster")
    assert report.facts["may be lost"] != "nothing"
    report = failback(block)
    assert "whose own rows were not written down" in report.facts["kept aside"]
    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "200000"
    assert uno.at_origin("SELECT to_regclass('only_here') IS NULL", "cliente1") == "t"
    uno.at_origin("DROP TABLE outage", "cliente1")
    no_strangers(uno)
