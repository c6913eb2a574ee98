"""The pages that were kept before an accident, followed to the letter after it, either way.

Each drill reads the file first, and breaks something then; every command that is run by hand is
copied from that file, in the way that the page itself says, on the host that the step names.
"""

import pytest

from blocks.instance import OdooInstance
from flows.check import check
from flows.failback import failback
from flows.failover import failover
from flows.replicate import replicate
from flows.switchover import switchover
from tests.by_hand import Follower
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers, one_writer, ready

Blocks = dict[str, OdooInstance]
OUTAGE = "CREATE TABLE outage AS SELECT generate_series(1, 10) AS n"
ALONE = "CREATE TABLE only_here AS SELECT generate_series(1, 10) AS n"
GONE = "SELECT count(*) FROM pg_class WHERE relname = 'only_here'"
EN, ES = "en", "es"  # the commands are the same, as a unit test holds: each page is followed in one


def kept(pair: Pair, block: OdooInstance, name: str, language: str) -> Follower:
    """Read a page where it stands now, before anything has happened."""
    check(block)
    holder = pair.origin.machine if name == "recovery-is-gone" else pair.recovery
    text = holder.read(f"/var/lib/relevo/{pair.name}/by-hand/{name}.{language}.md")
    return Follower(text, pair.origin.machine, pair.recovery)


def served_at_home(pair: Pair) -> None:
    assert pair.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
    pair.origin.machine.wait_for_port(pair.origin.http_port)


def whole_again(pair: Pair, block: OdooInstance) -> None:
    """Nothing is left, and the next accident may come."""
    pair.at_origin("DROP TABLE outage", "cliente1")
    ready(check(block))
    no_strangers(pair)


def home_by(page: Follower, way: str, *, was_off: bool) -> None:
    """Follow a failback from its first step: the page itself has to name this way."""
    hold, choose = "2", "5"
    if was_off:
        page.do(page.step("1"))
        page.hosts[page.step("1").where].boot()
    page.follow("", first=hold, last="4")
    assert page.do(page.step(choose)) == way
    page.follow(way, first=f"{way}1")


@pytest.mark.parametrize("language", [ES])
def test_a_night_by_hand_with_an_origin_that_answers_loses_nothing_and_comes_home_following(
    dos: Pair, blocks: Blocks, language: str
) -> None:
    block = blocks[dos.name]
    out, home = (kept(dos, block, name, language) for name in ("failover", "failback"))
    dos.at_origin(ALONE, "cliente1")
    with one_writer(dos):
        assert out.do(out.step("1")) == "t"
        out.follow("A", first="A1")
        assert dos.at_recovery("SELECT count(*) FROM only_here", "cliente1") == "10"
        dos.at_recovery("DROP TABLE only_here", "cliente1")
        dos.at_recovery(OUTAGE, "cliente1")
        home_by(home, "A", was_off=False)
        served_at_home(dos)
        replicate(block)
    whole_again(dos, block)


@pytest.mark.parametrize("language", [EN])
def test_a_night_by_hand_with_a_dead_origin_comes_home_by_a_rewind(
    dos: Pair, blocks: Blocks, language: str
) -> None:
    """What it wrote and never sent is kept aside, and taken back."""
    block = blocks[dos.name]
    out, home = (kept(dos, block, name, language) for name in ("failover", "failback"))
    dos.origin.machine.cut()
    dos.at_origin(ALONE, "cliente1")
    with one_writer(dos):
        dos.origin.machine.crash()
        out.follow("B", first="B1")
        dos.at_recovery(OUTAGE, "cliente1")
        dos.origin.machine.heal()
        home_by(home, "B", was_off=True)
        served_at_home(dos)
        assert dos.at_origin(GONE, "cliente1") == "0"
        replicate(block)
    aside = "ls -d /var/lib/postgresql/*/*.quarantine-by-hand-*/PG_VERSION"
    assert dos.origin.machine.run("sh", "-c", aside).stdout
    whole_again(dos, block)


@pytest.mark.parametrize("language", [ES])
def test_a_night_by_hand_after_which_the_origin_was_wiped_comes_home_by_a_clone(
    dos: Pair, blocks: Blocks, language: str
) -> None:
    block, machine = blocks[dos.name], dos.origin.machine
    out, home = (kept(dos, block, name, language) for name in ("failover", "failback"))
    machine.run("systemctl", "stop", dos.origin.unit)
    machine.run("pg_dropcluster", "--stop", str(dos.origin.version), dos.origin.cluster)
    machine.crash()
    with one_writer(dos):
        out.follow("B", first="B1")
        dos.at_recovery(OUTAGE, "cliente1")
        home_by(home, "C", was_off=True)
        served_at_home(dos)
        replicate(block)
    whole_again(dos, block)


@pytest.mark.parametrize("language", [EN])
def test_a_rewind_by_hand_that_fails_goes_on_with_the_clone_that_is_printed_there(
    dos: Pair, blocks: Blocks, language: str
) -> None:
    """The WAL that pg_rewind would read is gone from the origin."""
    block, machine = blocks[dos.name], dos.origin.machine
    home = kept(dos, block, "failback", language)
    machine.cut()
    failover(block, origin_is_down=True, reason="drill")
    dos.at_origin(ALONE, "cliente1")
    for _ in range(3):
        dos.at_origin("CREATE TABLE filler (n int); DROP TABLE filler; SELECT pg_switch_wal()")
        dos.at_origin("CHECKPOINT")
    dos.at_recovery(OUTAGE, "cliente1")
    page, way = home, "B"
    page.do(page.step("2"))
    wal = "cd /var/lib/postgresql/*/clientes/pg_wal && ls | grep -E '^[0-9A-F]{24}$' | sort"
    machine.run("sh", "-c", f"{wal} | head -n -1 | xargs -r rm")
    machine.heal()
    page.follow("", first="3", last="4")
    assert page.do(page.step("5")) == way
    page.do(page.step("B1"))
    with pytest.raises(AssertionError, match="B2 "):
        page.do(page.step("B2"))
    assert page.step("B3").only
    page.do(page.step("B3"))
    page.follow(way, first="B4")
    served_at_home(dos)
    assert dos.at_origin(GONE, "cliente1") == "0"
    replicate(block)
    failback(block)
    whole_again(dos, block)


@pytest.mark.parametrize("language", [ES])
def test_a_failback_by_hand_after_a_failover_by_the_button_is_taken_up_by_the_buttons(
    dos: Pair, blocks: Blocks, language: str
) -> None:
    block = blocks[dos.name]
    page = kept(dos, block, "failback", language)
    with one_writer(dos):
        failover(block)
        dos.at_recovery(OUTAGE, "cliente1")
        home_by(page, "A", was_off=False)
        served_at_home(dos)
        replicate(block)
        failback(block)
    whole_again(dos, block)


@pytest.mark.parametrize("language", [EN])
def test_a_failback_by_the_button_brings_home_what_was_moved_by_hand(
    dos: Pair, blocks: Blocks, language: str
) -> None:
    block = blocks[dos.name]
    page = kept(dos, block, "failover", language)
    with one_writer(dos):
        assert page.do(page.step("1")) == "t"
        page.follow("A", first="A1")
        dos.at_recovery(OUTAGE, "cliente1")
        failback(block)
    served_at_home(dos)
    whole_again(dos, block)


@pytest.mark.parametrize("language", [ES])
def test_customers_come_home_by_hand_from_a_recovery_host_that_has_died(
    dos: Pair, blocks: Blocks, language: str
) -> None:
    """The page is kept at the origin; its guard is in the way of whoever has not read it."""
    block = blocks[dos.name]
    page = kept(dos, block, "recovery-is-gone", language)
    switchover(block)
    dos.at_recovery(OUTAGE, "cliente1")
    there = "SELECT count(*) FROM pg_class WHERE relname = 'outage'"
    wait_until(lambda: dos.at_origin(there, "cliente1") == "1", "it is replayed", 60)
    before_it_boots = "8"
    assert "failover.json" in page.step(before_it_boots).block
    with one_writer(dos):
        dos.recovery.crash()
        page.follow("", last=before_it_boots)
        dos.recovery.boot()
        page.follow("", first="9")
        served_at_home(dos)
        replicate(block)
    dos.recovery.run("rm", f"/var/lib/relevo/{dos.name}/failover.json.kept-by-hand")
    whole_again(dos, block)
