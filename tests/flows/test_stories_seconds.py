"""What stands between the yes and the start of Odoo: few commands, and no guard the less."""

import pytest

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from flows.failover import failover
from tasks.build import build
from tasks.postgres import cluster
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, dead, standby
from tests.flows.test_stories_refusing import LAST

START = "systemctl start odoo_vps_1.service"
NOTE, RIGHT = (f"/var/lib/relevo/vps_1/{name}.json" for name in ("failover", "right"))
RECEIPT = "/var/lib/relevo/vps_1/receipts/001001.json"
RECEIPTS = "receipts /var/lib/relevo/vps_1 /var/lib/relevo/vps_1/signers"
# The ssh commands on the recovery host up to the start of Odoo: who has the instance, the lock, the
# history, one look, one command that writes, one more look, and the start.
MOST_COMMANDS = 7
PROMOTED: dict[str, Answer] = {
    "SELECT NOT pg_is_in_recovery()": "t\n",
    "SELECT pg_promote(false)": "t\n",
    "since /var/lib/relevo/vps_1/asked": "1800000000\n",
    "install *": "installed\n",
    "systemctl reset-failed odoo_vps_1.service": 0,
    START: CommandFailed("it is Odoo's turn"),
}


def told(instance: OdooInstance, hosts: Hosts) -> FakeHost:
    """Fail over from an origin that is dead, up to the start of Odoo."""
    built: dict[str, Answer] = {
        "read /srv/vps_1/odoo.conf": build._conf(instance, "[options]\nworkers = 2\n", "odoo"),
        "read /etc/systemd/system/odoo_vps_1.service": build._unit(instance, None),
    }
    due = FakeHost("due", {**standby(), **LAST, **PROMOTED, **built})
    hosts(dead(), due)
    with pytest.raises(CommandFailed, match="it is Odoo's turn"):
        failover(instance, origin_is_down=True, reason="the disk burnt")
    return due


def test_a_failover_gives_few_commands_before_it_starts_odoo(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = told(instance, hosts)

    assert due.ran[-1] == START
    assert due.commands <= MOST_COMMANDS


def test_all_guards_have_looked_before_anything_is_written_and_again_after_the_receipt(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = told(instance, hosts)

    written = [asked.split()[1] for asked in due.ran if asked.startswith("install ")]
    assert written == [NOTE, RECEIPT, RIGHT], "the note, and the receipt before its name"
    first = due.ran.index(next(asked for asked in due.ran if asked.startswith("install ")))
    last = max(at for at, asked in enumerate(due.ran) if asked.startswith("install "))
    looked = {asked.split()[0] for asked in due.ran[:first]}
    assert {"look", "receipts", "ss", "missing", "read", "SELECT"} <= looked
    again = [asked.split()[0] for asked in due.ran[last + 1 :]]
    assert again[:2] == ["since", "look"], "an origin may have asked until the receipt was there"
    assert [asked for asked in due.ran[:last] if "promote" in asked] == []


def test_a_look_that_is_old_is_taken_anew(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An origin that is waited for takes its time, and meanwhile somebody may act by hand."""
    monkeypatch.setattr("blocks.at_hand.MOMENT_SECONDS", -1)

    due = told(instance, hosts)

    assert due.commands > 2 * MOST_COMMANDS
    assert due.ran.count(RECEIPTS) > 1


@pytest.mark.parametrize("name", ["http_port", "longpolling_port"])
def test_a_refusal_of_what_was_looked_at_together_is_the_same_refusal(
    instance: OdooInstance, hosts: Hosts, name: str
) -> None:
    """Behind the second one of an Odoo with workers customers would talk to somebody else."""
    port = getattr(instance.recovery.odoo, name)
    taken: dict[str, Answer] = {
        f"ss -Hltn *:{port}*": f"LISTEN 0 128 *:{port}\n",
        "read /srv/vps_1/odoo.conf": "[options]\nworkers = 2\n",
    }
    due = FakeHost("due", {**taken, **standby(), **LAST, **taken})
    hosts(dead(), due)

    with pytest.raises(Refused, match=f"port {port} on due is taken") as said:
        failover(instance, origin_is_down=True, reason="the disk burnt")

    assert f"another recovery.{name} in" in said.value.hint
    assert due.changes == ["hold vps_1 failover 30"]


@pytest.mark.parametrize("said", ["f\n", 1], ids=["it does not", "it refuses"])
def test_a_session_that_does_not_promote_leaves_it_to_pg_ctl(
    instance: OdooInstance, hosts: Hosts, said: Answer
) -> None:
    """Whether it was promoted is asked afterwards, whichever way it went."""
    pg_ctl = "/usr/lib/postgresql/13/bin/pg_ctl -D /var/lib/postgresql/13/vps_1 -s promote"
    due = FakeHost("due", {**standby(), **PROMOTED, "SELECT pg_promote(false)": said, pg_ctl: 1})
    hosts(dead(), due)

    with terminal.without_server():
        cluster.promote(instance.recovery)

    assert due.ran[-2:] == [pg_ctl, "SELECT NOT pg_is_in_recovery()"]
