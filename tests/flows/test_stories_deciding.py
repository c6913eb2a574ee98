"""A plan changes nothing, and a run from a shell takes the same steps with no server."""

import logging
from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import break_glass
from flows.failover import failover
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, dead, standby
from tests.flows.test_stories_refusing import LAST, LOCK

PLAN: dict[str, Answer] = {
    "SELECT pg_last_wal_replay_lsn() AS replayed*": '[{"replayed": "0/3000000", "seconds": 3}]',
    "SELECT datname FROM pg_database*": "[]",
    "date -u +%FT%TZ": "2027-01-15T08:00:12Z\n",
    "getent passwd postgres": "postgres:x:101:101::/var/lib/postgresql:/bin/bash\n",
}


def test_a_plan_only_run_says_what_would_be_lost_and_takes_no_lock(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = FakeHost("due", standby() | LAST | PLAN)
    hosts(dead(), due)

    report = failover(instance, decide="plan only")

    assert report.facts["uno (origin)"] == "silent"
    assert "12.5 s" in report.facts["what would be lost"]
    assert due.changes == []


def test_a_run_from_a_shell_refuses_as_the_button_does_and_says_where_its_log_is(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    noted: dict[str, Answer] = {"install /var/lib/relevo/vps_1/notes/runs.json *": "installed"}
    due = FakeHost("due", standby() | LAST | noted)
    hosts(dead(), due)

    with pytest.raises(Refused, match="failing over now may lose") as refused:
        break_glass.run(instance, "failover", tmp_path, {"decide": "unattended"})

    (log,) = tmp_path.glob("*-failover-vps_1.log")
    assert str(log) in refused.value.hint
    assert "require that due can take over" in log.read_text()
    assert due.changes[0] == LOCK
    assert not logging.getLogger("relevo").handlers


def test_asking_where_there_is_no_terminal_refuses_and_names_the_option(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), FakeHost("due"))

    with pytest.raises(Refused, match="this is no terminal") as refused:
        break_glass.ask(instance, "failover", reason="", by="")

    assert "--yes" in refused.value.hint
