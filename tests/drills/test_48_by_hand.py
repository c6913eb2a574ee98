"""The pages that a person follows by hand, followed to the letter, on either leg of the way."""

from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from flows.switchover import switchover
from tasks.authority.situation import Procedure
from tasks.byhand.by_hand_gone import BEFORE_IT_BOOTS
from tasks.plan import measure, words
from tasks.run import terminal
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, one_writer, ready

Blocks = dict[str, OdooInstance]
OUTAGE = "CREATE TABLE outage AS SELECT generate_series(1, 10) AS n"


def by_hand(pair: Pair, block: OdooInstance, procedure: Procedure) -> None:
    """Type every command of a page on the host that it names."""
    with terminal.without_server():
        drawn = measure.draw(block, procedure)
    assert not drawn.situation.refusals
    hosts = {"origin": pair.origin.machine, "recovery": pair.recovery}
    for step in words.steps(drawn):
        for command in step.commands:
            typed = command.format(**drawn.names)
            if step is BEFORE_IT_BOOTS:
                pair.recovery.offline("bash", "-c", typed)
                continue
            done = hosts[step.where].run("bash", "-c", typed, check=False)
            already = done.returncode == 2 and "already" in typed
            assert done.returncode == 0 or already, f"{typed}: {done.stdout}{done.stderr}"
        if step is BEFORE_IT_BOOTS:
            pair.recovery.boot()


def test_a_failback_by_hand_after_a_failover_by_the_button_is_taken_up_by_the_buttons(
    dos: Pair, blocks: Blocks
) -> None:
    block = blocks[dos.name]
    with one_writer(dos):
        failover(block)
        dos.at_recovery(OUTAGE, "cliente1")
        by_hand(dos, block, "failback")
        assert dos.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
        dos.origin.machine.wait_for_port(dos.origin.http_port)
        replicate(block)
        failback(block)
    dos.at_origin("DROP TABLE outage", "cliente1")
    ready(check(block))
    no_strangers(dos)


def test_a_failback_by_the_button_brings_home_what_was_moved_by_hand(
    dos: Pair, blocks: Blocks
) -> None:
    block = blocks[dos.name]
    with one_writer(dos):
        by_hand(dos, block, "failover")
        dos.at_recovery(OUTAGE, "cliente1")
        failback(block)
    assert dos.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
    dos.at_origin("DROP TABLE outage", "cliente1")
    ready(check(block))
    no_strangers(dos)


def test_customers_come_home_by_hand_from_a_recovery_host_that_has_died(
    dos: Pair, blocks: Blocks
) -> None:
    """The page is kept at the origin; its guard is in the way of whoever has not read it."""
    block = blocks[dos.name]
    switchover(block)
    dos.at_recovery(OUTAGE, "cliente1")
    check_page = f"/var/lib/relevo/{dos.name}/by-hand/recovery-is-gone.es.md"
    there = "SELECT count(*) FROM pg_class WHERE relname = 'outage'"
    wait_until(lambda: dos.at_origin(there, "cliente1") == "1", "it is replayed", 60)
    with one_writer(dos):
        dos.recovery.crash()
        by_hand(dos, block, "recovery is gone")
        assert dos.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
        replicate(block)
    dos.recovery.run("rm", f"/var/lib/relevo/{dos.name}/failover.json.kept-by-hand")
    dos.at_origin("DROP TABLE outage", "cliente1")
    ready(check(block))
    assert dos.origin.machine.run("test", "-s", check_page).returncode == 0
    no_strangers(dos)
