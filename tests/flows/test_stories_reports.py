"""The report of a move stays on both servers, with what counts on top."""

import fnmatch
import logging

import pytest

from blocks.errors import Unreachable
from blocks.instance import OdooInstance
from tasks.notices import reports
from tasks.plan.approval import Decision
from tasks.run.report import Report
from tasks.run.timing import Stopwatch
from tests.fakes import FakeHost
from tests.flows.conftest import Hosts, dead

REPORT = Report("vps_1 is served from due", {"may be lost": "nothing", "next": "run failback"})
KEPT = "install /var/lib/relevo/vps_1/reports/20??????T??????Z-failover.md root:root 600 "


def test_a_report_is_kept_on_both_servers(instance: OdooInstance, hosts: Hosts) -> None:
    uno, due = (FakeHost(name, {"install *": "installed"}) for name in ("uno", "due"))
    hosts(uno, due)

    reports.keep(instance, "failover", REPORT)

    assert [len(fnmatch.filter(host.changes, KEPT)) for host in (uno, due)] == [1, 1]


@pytest.mark.parametrize("away", ["uno", "due"])
def test_a_server_that_is_away_ends_no_move_red(
    instance: OdooInstance, hosts: Hosts, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    uno, due = FakeHost("uno", {"install *": "installed"}), FakeHost("due", {"install *": "x"})
    gone = FakeHost(away, {"*": Unreachable(f"{away} did not answer")})
    hosts(*((dead(), due) if away == "uno" else (uno, gone)))

    with caplog.at_level(logging.WARNING, "relevo"):
        reports.keep(instance, "failover", REPORT)

    assert f"is not kept on {away}: {away} did not answer" in caplog.text
    assert (due if away == "uno" else uno).changes


def _decision(reason: str, by: str) -> Decision:
    return Decision(True, True, reason, by, Stopwatch(), REPORT)


def test_who_said_yes_stands_in_the_receipt_and_makes_no_reason() -> None:
    assert _decision("a fire", "Ana").signed == "a fire (Ana)"
    assert _decision("a fire", "").signed == "a fire"
    assert _decision("", "Ana").signed == "", (
        "a loss is accepted for a reason, and by nobody's name"
    )
