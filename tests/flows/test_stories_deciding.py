"""A plan changes nothing, and a run from a shell takes the same steps with no server."""

import logging
from argparse import Namespace
from pathlib import Path

import pytest

from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance
from deployments import break_glass, quiet
from deployments.secrets import Secrets
from deployments.settings import Settings
from flows.failover import failover
from flows.pg_rewind import pg_rewind
from flows.promote import promote
from tasks.board import board
from tasks.board.alarms import Measured
from tasks.board.words import Judged
from tasks.plan import pages
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, dead, serving, standby
from tests.flows.test_stories_refusing import LAST, LOCK

PLAN: dict[str, Answer] = {
    "SELECT pg_last_wal_replay_lsn() AS replayed*": '[{"replayed": "0/3000000", "seconds": 3}]',
    "read /srv/vps_1/odoo.conf": "",
    "SELECT d.datname AS name, *": "[]",
    "date -u +%FT%TZ": "2027-01-15T08:00:12Z\n",
    "getent passwd postgres": "postgres:x:101:101::/var/lib/postgresql:/bin/bash\n",
}


def test_a_plan_only_run_says_what_would_be_lost_and_takes_no_lock(
    instance: OdooInstance, hosts: Hosts
) -> None:
    full: dict[str, Answer] = {"df *": "A B File\n1048576 104857600 /var/lib/postgresql/13/vps_1\n"}
    due = FakeHost("due", standby() | LAST | PLAN | full)
    hosts(dead(), due)

    report = failover(instance, decide="plan only")

    assert report.facts["uno (origin)"] == "silent"
    assert "behind the origin" not in report.facts, "of an origin that is silent nobody knows"
    lacking = "disk at the recovery: due has only 1.0 MB free for PostgreSQL"
    assert lacking in report.facts["lacking"], "a forced failover goes on, and names it"
    assert "may be lost: 13 s before this plan" in report.facts["what would be lost"]
    assert due.changes == []


def test_a_promotion_shows_what_a_failover_would_lose_and_that_no_odoo_starts(
    instance: OdooInstance, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    due = FakeHost("due", standby() | LAST | PLAN)
    hosts(dead(), due)

    with caplog.at_level("INFO", "relevo"):
        report = promote(instance, decide="plan only")

    assert "may be lost: 13 s before this plan" in report.facts["what would be lost"]
    assert "start no Odoo: customers cannot work" in caplog.text
    assert due.changes == []


def test_a_rewind_of_an_origin_that_is_away_is_a_plan_that_is_refused(
    instance: OdooInstance, hosts: Hosts
) -> None:
    due = FakeHost("due", serving() | LAST | PLAN)
    hosts(dead(), due)

    report = pg_rewind(instance, decide="plan only")

    assert "uno does not answer" in report.facts["refused as things are"]
    assert due.changes == []


def test_a_run_from_a_shell_refuses_as_the_button_does_and_says_where_its_log_is(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    noted: dict[str, Answer] = {"install /var/lib/relevo/vps_1/notes/runs.json *": "installed"}
    due = FakeHost("due", standby() | LAST | noted)
    hosts(dead(), due)
    before = list(logging.getLogger("relevo").handlers)

    with pytest.raises(Refused, match="failing over now may lose") as refused:
        break_glass.run(instance, "failover", tmp_path, {"decide": "unattended"})

    (log,) = tmp_path.glob("*-failover-vps_1.log")
    assert str(log) in refused.value.hint
    assert "require that due can take over" in log.read_text()
    assert due.changes[0] == LOCK
    assert logging.getLogger("relevo").handlers == before


PAGES = [f"/var/lib/relevo/vps_1/by-hand/recovery-is-gone.{each}.md" for each in ("en", "es")]
FOLLOWS = "5432 online t /var/lib/postgresql/13/main\n" + control("in_archive_recovery")


def test_the_page_for_a_night_without_the_recovery_host_asks_it_nothing(
    instance: OdooInstance, hosts: Hosts, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Unreachable("due did not answer")
    hosts(FakeHost("uno", {"look 13 main *": FOLLOWS}), FakeHost("due", {"*": gone}))

    assert break_glass.say_plan(instance, "recovery is gone", language="en") == 0

    said = capsys.readouterr().out
    assert "# vps_1: due is gone" in said
    assert "| uno (origin) | standby |" in said
    assert "Point shop.example.com at 10.0.0.1." in said


def test_that_page_is_kept_at_the_origin_and_an_origin_that_is_away_stops_nothing(
    instance: OdooInstance, hosts: Hosts
) -> None:
    uno = FakeHost("uno", {"look 13 main *": FOLLOWS, "install *": "installed"})
    hosts(uno, FakeHost("due"))
    with terminal.without_server():
        pages._write_at_origin(instance)
    assert uno.changes == [f"install {page} root:root 644 " for page in PAGES]

    full: dict[str, Answer] = {
        "look 13 main *": FOLLOWS,
        "install *": Unreachable("uno did not answer"),
    }
    for away in (dead(), FakeHost("uno", full)):
        hosts(away, FakeHost("due"))
        with terminal.without_server():
            pages._write_at_origin(instance)


PAGES_THERE = [
    f"/var/lib/relevo/vps_1/by-hand/{procedure}.{language}.md"
    for procedure in ("failover", "failback")
    for language in ("en", "es")
]


def test_the_pages_for_the_night_are_kept_without_a_word_of_the_origin(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """They are the same whether it answers or is dead, and nobody is asked how it stands."""
    due = FakeHost("due", {"install *": "installed", "touch *": ""})
    hosts(dead(), due)

    with terminal.without_server():
        pages.write(instance)

    assert due.changes == [
        *(f"install {page} root:root 644 " for page in PAGES_THERE),
        f"touch {' '.join(PAGES_THERE)}",
    ]
    assert [asked for asked in due.ran if asked.startswith("look")] == []


def test_a_plan_that_cannot_be_measured_still_prints_the_page(
    instance: OdooInstance, hosts: Hosts, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts(dead(), FakeHost("due", {"*": Unreachable("due did not answer")}))

    with pytest.raises(Unreachable, match="due did not answer"):
        break_glass.say_plan(instance, "failover", language="es")

    said = capsys.readouterr().out
    assert "# vps_1: failover a mano" in said
    assert "## B. El origen no responde" in said


@pytest.mark.parametrize(
    ("said", "written"),
    [(("", ""), ["vps_1"]), (("", "rsync-filestore\n"), ["vps_1"]),
     (("", "failover\n"), []), (("failover.en.md\n", ""), [])],
)  # fmt: skip
def test_pages_are_drawn_anew_when_they_are_old_and_the_instance_is_at_rest(
    instance: OdooInstance,
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    said: tuple[str, str],
    written: list[str],
) -> None:
    fresh, holder = said
    found = {"find /var/lib/relevo/vps_1/by-hand *": fresh, "holder /run/relevo/vps_1": holder}
    hosts(FakeHost("uno", {}), FakeHost("due", found))
    drawn: list[str] = []
    monkeypatch.setattr(pages, "write", lambda each: drawn.append(each.name))

    with terminal.without_server():
        pages.refresh([instance])

    assert drawn == written


def test_pages_that_cannot_be_drawn_stop_neither_the_others_nor_the_board(
    instance: OdooInstance, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    hosts(dead(), FakeHost("due", {"*": Unreachable("due did not answer")}))

    with terminal.without_server():
        pages.refresh([instance, instance.model_copy(update={"name": "vps_2"})])

    for name in ("vps_1", "vps_2"):
        assert f"the pages of {name} were not drawn: due did not answer" in caplog.text


def test_the_pages_of_what_could_not_be_measured_or_moves_are_left_alone(
    instance: OdooInstance,
) -> None:
    seen = [
        Measured("vps_1", 1, roles="primary/standby"),
        Measured("vps_1", 1, roles="primary/standby", busy="failover"),
        Measured("vps_1", 1, wrong=("due did not answer",)),
    ]
    rows: list[Judged] = [(each, "red", []) for each in seen]
    named = [instance.model_copy(update={"name": name}) for name in ("rests", "moves", "silent")]

    assert [each.name for each in board.at_rest(named, rows)] == ["rests"]


def test_a_check_from_a_shell_keeps_the_pages_fresh(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts(FakeHost("uno", {}), FakeHost("due", {}))
    drawn: list[OdooInstance] = []
    rows: list[Judged] = [(Measured("vps_1", 1, roles="primary/standby"), "green", [])]
    monkeypatch.setattr(board, "measure", lambda _: rows)
    monkeypatch.setattr(pages, "refresh", drawn.extend)

    given = Namespace(instance=None, json=False, textfile=None)
    secrets = Secrets(Path("/nonexistent/secrets.yaml"))

    assert quiet.checked(given, [instance], secrets, Settings()) == 0

    assert [each.name for each in drawn] == ["vps_1"]


def test_asking_where_there_is_no_terminal_refuses_and_names_the_option(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), FakeHost("due"))

    with pytest.raises(Refused, match="this is not a terminal") as refused:
        break_glass.ask(instance, "failover", reason="", by="")

    assert "--yes" in refused.value.hint
