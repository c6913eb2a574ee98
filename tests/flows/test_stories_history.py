"""Who did what, when and why: written down on both hosts, read from both, and in nobody's way."""

import json
import subprocess
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.errors import Busy, CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance
from blocks.lease import HELD
from deployments import quiet
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.host import lock
from tasks.notices import audit
from tasks.plan import approval
from tasks.receipts import receipts
from tasks.records import history
from tasks.records.history import Entry
from tasks.recovery.procedure import flow
from tasks.run import act, question, terminal
from tasks.run.desk import Run
from tasks.run.moments import Clock
from tasks.run.question import Question, Yes
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, dead, standby

NOON, LATER = datetime(2026, 11, 28, 12, tzinfo=UTC), datetime(2026, 11, 28, 12, 1, tzinfo=UTC)
LOCK = {"hold vps_1 * 30": "held 1"}


def story(fail: Callable[[], None] = lambda: None, *, held: bool = True):  # type: ignore[no-untyped-def]  # a flow
    """A procedure that takes the lock, and does what is given."""

    @flow(name="tidy")
    def tidy(instance: OdooInstance, *, reason: str = "", approved_by: str = "") -> None:
        del reason, approved_by
        if held:
            with lock.held(instance, "tidy"):
                fail()

    return tidy


def lines(host: FakeHost) -> list[dict[str, object]]:
    return [json.loads(line) for line in host.history.splitlines()]


@pytest.fixture
def uno() -> FakeHost:
    return FakeHost("uno")


@pytest.fixture
def due() -> FakeHost:
    return FakeHost("due", dict[str, Answer](LOCK))


def test_both_hosts_keep_who_did_what_when_and_why(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost, due: FakeHost
) -> None:
    hosts(uno, due)

    with terminal.without_server("/var/log/relevo/runs/20261128T120000Z-tidy-vps_1.log"):
        story()(instance, reason="a fire", approved_by="Ana")

    began, ended = lines(due)
    assert (began["procedure"], began["person"], began["reason"]) == ("tidy", "Ana", "a fire")
    assert began["run"] == "20261128T120000Z-tidy-vps_1.log"
    assert "ended" not in began
    assert ended == {**began, "ended": ended["ended"], "outcome": "done"}
    assert lines(uno) == [ended], "the origin hears of it at the end"


def test_nobody_named_is_the_login_of_the_shell(
    instance: OdooInstance, hosts: Hosts, due: FakeHost, uno: FakeHost,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SUDO_USER", "ana")
    hosts(uno, due)

    story()(instance)

    assert lines(due)[0]["person"] == "ana"


def test_a_failure_is_kept_with_its_sentence(
    instance: OdooInstance, hosts: Hosts, due: FakeHost, uno: FakeHost
) -> None:
    def fail() -> None:
        raise Refused("the standby is too far behind")

    hosts(uno, due)
    with pytest.raises(Refused):
        story(fail)(instance)

    ended = lines(due)[-1]
    assert (ended["outcome"], ended["said"]) == ("failed", "the standby is too far behind")


@pytest.mark.parametrize("held", [False, True])
def test_what_never_held_the_lock_is_not_kept(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost, held: bool
) -> None:
    due = FakeHost("due", {"hold vps_1 * 30": "busy 4711 failback"})
    hosts(uno, due)
    if held:
        with pytest.raises(Busy):
            story()(instance)
    else:
        story(held=False)(instance)

    assert due.history == uno.history == ""


def test_a_host_that_was_not_spoken_to_is_not_dialled_for_it(
    instance: OdooInstance, hosts: Hosts, due: FakeHost
) -> None:
    uno = dead()
    hosts(uno, due)

    story()(instance)

    assert (len(lines(due)), uno.ran, uno.history) == (2, [], "")


def test_a_history_that_cannot_be_written_stops_nothing(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    full = CommandFailed("sh failed on due: no space left on device")
    due = FakeHost("due", {**LOCK, "note-history *": full})
    hosts(uno, due)

    with caplog.at_level("WARNING"):
        story(lambda: done.append("tidied"))(instance)

    assert done == ["tidied"]
    assert "tidy of vps_1 is not in the history on due" in caplog.text
    assert lines(uno)[0]["outcome"] == "done"


def test_a_run_that_lost_its_lock_writes_nothing_more(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost, due: FakeHost
) -> None:
    def lose() -> None:
        lease = HELD.get()
        assert lease is not None
        raise lease.refused_by("due")

    hosts(uno, due)
    with pytest.raises(Busy):
        story(lose)(instance)

    assert (len(lines(due)), uno.history) == (1, "")


def test_a_yes_on_the_page_is_what_counts(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost, due: FakeHost,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    yes = Yes("vps_1", "the hoster confirms a fire", "Ana")
    monkeypatch.setattr(terminal.Terminal, "ask", lambda *_, **__: yes)

    @flow(name="tidy")
    def tidy(instance: OdooInstance) -> None:
        question.ask(Question("tidy", "vps_1"))
        with lock.held(instance, "tidy"):
            pass

    hosts(uno, due)
    tidy(instance)

    assert {(each["person"], each["reason"]) for each in lines(due)} == {
        ("Ana", "the hoster confirms a fire")
    }


def test_a_yes_of_before_a_retry_counts_for_the_retry(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost
) -> None:
    said = {"origin_is_down": False, "reason": "a fire", "approved_by": "Ana"}
    decided = json.dumps({"run": "", "procedure": "failback", "said": said})
    due = FakeHost("due", {**LOCK, "read /var/lib/relevo/vps_1/notes/decided.json": decided})

    @flow(name="failback")
    def retried(instance: OdooInstance) -> None:
        approval.given_before(instance, "failback")
        with lock.held(instance, "failback"):
            pass

    hosts(uno, due)
    retried(instance)

    assert [(each["person"], each["reason"]) for each in lines(due)] == [("Ana", "a fire")] * 2


@pytest.mark.parametrize(("procedure", "kept"), [("rsync-filestore", 0), ("drill", 2)])
def test_a_copy_by_schedule_is_nobodys_act_and_a_drill_is_the_schedules(
    instance: OdooInstance, hosts: Hosts, procedure: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    uno, due = FakeHost("uno"), FakeHost("due", dict[str, Answer](LOCK))
    run = Run("5f0c", None, 1, (), is_deployed=True, by_schedule=True)
    monkeypatch.setattr(terminal.Terminal, "run", lambda _: run)
    hosts(uno, due)

    with audit.noted(instance, procedure), lock.held(instance, procedure):
        pass

    assert [(each["run"], each["person"]) for each in lines(due)] == [
        ("5f0c", "the schedule")
    ] * kept


@pytest.mark.parametrize(
    ("reason", "kept"), [("a fire", "a fire (Ana)"), ("", "Ana"), ("Ana says so", "Ana says so")]
)
def test_a_receipt_keeps_the_person_with_the_reason(
    instance: OdooInstance, hosts: Hosts, uno: FakeHost, reason: str, kept: str
) -> None:
    due = FakeHost("due", {**standby(), "date -u *": "2026-11-28T12:00:00Z\n"})
    hosts(uno, due)
    token = act.ACT.set(act.Act(lambda _: None, person="Ana"))
    try:
        made = receipts._make(
            instance, kind="forced", taker=instance.recovery, reason=reason, loss="some"
        )
    finally:
        act.ACT.reset(token)

    assert made.reason == kept


# ------------------------------------------------------------------------------ the file itself


def entry(**more: object) -> Entry:
    facts = {
        "run": "r", "procedure": "failover", "person": "Ana", "reason": "a fire",
        "runner": "runner", "begun": NOON, **more,
    }  # fmt: skip
    return Entry(**facts)  # type: ignore[arg-type]


def append(folder: Path, line: str, *, most: int = 1000) -> None:
    argv = ("sh", "-c", history.APPEND, "note-history", str(folder), str(most), "said", "ends")
    subprocess.run(argv, input=line, text=True, check=True, capture_output=True)


def kept(folder: Path) -> str:
    argv = ("sh", "-c", history.READ, "read-history", str(folder))
    return subprocess.run(argv, text=True, check=True, capture_output=True).stdout


def test_lines_are_added_and_the_file_of_before_stays_beside(tmp_path: Path) -> None:
    for number in range(6):
        append(tmp_path, entry(run=str(number)).as_text(), most=400)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.1.jsonl", "history.jsonl"]
    runs = [each.run for each in history.understood(kept(tmp_path), "it")]
    assert runs == sorted(runs)
    assert runs[-1] == "5"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1500
    assert (tmp_path / "history.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_left_out_aloud_and_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(tmp_path, entry(run="one").as_text())
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"run": "tor')
    append(tmp_path, entry(run="two").as_text())
    append(tmp_path, entry(run="new").as_text().replace('"version": 1', '"version": 9'))

    with caplog.at_level("WARNING"):
        found = list(history.understood(kept(tmp_path), "the history of vps_1 on due"))

    assert [each.run for each in found] == ["one", "two"]
    assert "line 2 of the history of vps_1 on due is spoiled" in caplog.text
    assert "was written by a newer Relevo" in caplog.text


def test_nothing_is_made_for_an_instance_that_has_no_folder_yet(tmp_path: Path) -> None:
    append(tmp_path / "none", entry().as_text())

    assert list(tmp_path.iterdir()) == []
    assert kept(tmp_path / "none") == ""


def test_what_somebody_typed_is_bounded_and_stays_in_its_line() -> None:
    made = entry(reason="a\nb\x1b[2J" + "x" * 5000)

    text = made.as_text()

    assert text.count("\n") == 1
    assert len(text) < 1000
    assert "\n" not in made.sentence("vps_1")
    (found,) = history.understood(text, "it")
    assert found.reason.startswith("a\\x0ab\\x1b[2Jxxx")


def test_an_end_takes_the_place_of_its_begin_from_whichever_host() -> None:
    ended = entry(ended=LATER, outcome="done")
    other = entry(run="other", begun=LATER)

    found = history.merged([("recovery", [other, entry()]), ("origin", [ended, entry()])])

    assert [(each.entry, each.places, each.ends) for each in found] == [
        (ended, ("origin", "recovery"), ("origin",)), (other, ("recovery",), ()),
    ]  # fmt: skip


def test_an_origin_cannot_rewrite_what_the_recovery_host_keeps() -> None:
    true = entry(ended=LATER, outcome="failed", said="refused")
    forged = entry(ended=LATER, outcome="done", person="Eva")

    (kept,) = history.merged([("recovery", [entry(), true]), ("origin", [forged])])

    assert kept.entry == true
    assert kept.ends == ("origin", "recovery")


def test_of_an_origin_that_alone_knows_the_end_no_more_than_the_end_is_taken() -> None:
    forged = entry(
        person="Eva", reason="none", runner="hers", ended=LATER, outcome="done", said="it went well"
    )

    (kept,) = history.merged([("recovery", [entry()]), ("origin", [forged])])

    assert kept.entry == entry(ended=LATER, outcome="done", said="it went well")
    assert (kept.places, kept.ends) == (("origin", "recovery"), ("origin",))


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, "{}", '"x"', "\x00"],
)
def test_what_an_origin_makes_up_is_left_out_and_said_in_few_words(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    naive = entry().as_text().replace("+00:00", "")
    text = "\n".join([line, naive, *["x"] * 1000, entry().as_text()])

    with caplog.at_level("WARNING"):
        assert list(history.understood(text, "it")) == [entry()]

    assert len(caplog.records) == 6
    assert "997 more lines of it are left out" in caplog.text


# ------------------------------------------------------------------------------ relevo history


def past(instance: OdooInstance, *, as_json: bool = False) -> int:
    given = Namespace(instance="vps_1", json=as_json)
    return quiet.past(given, [instance], Secrets(Path("/nonexistent/secrets.yaml")), Settings())


def _when(moment: datetime) -> str:
    """Say a time as the history does; its age is of the day on which this runs."""
    return Clock(dated=True).when(moment)


def test_the_history_of_both_hosts_is_read_as_one(
    instance: OdooInstance, hosts: Hosts, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = entry(ended=LATER, outcome="failed", said="the disk is full")
    cut = entry(run="cut", procedure="drill", person="", reason="", begun=LATER)
    hosts(
        FakeHost("uno", {"read-history *": entry().as_text() + cut.as_text()}),
        FakeHost("due", {"read-history *": entry().as_text() + ended.as_text()}),
    )

    assert past(instance) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        f"{_when(NOON)}  failover           failed after 60 s  Ana: a fire; the disk is full"
    )
    assert second == (
        f"{_when(LATER)}  drill              no end is known    nobody known: "
        "only the origin has a record of it"
    )

    assert past(instance, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["asked"] == ["origin", "recovery"]
    assert [each["outcome"] for each in said["entries"]] == ["failed", None]
    assert said["entries"][0]["ended"] == "2026-11-28T12:01:00Z"
    assert said["entries"][1]["person"] is None
    assert [each["kept_on"] for each in said["entries"]] == [["origin", "recovery"], ["origin"]]


def test_an_end_that_the_origin_alone_tells_is_marked(
    instance: OdooInstance, hosts: Hosts, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = entry(person="Eva", ended=LATER, outcome="done")
    hosts(
        FakeHost("uno", {"read-history *": ended.as_text()}),
        FakeHost("due", {"read-history *": entry().as_text()}),
    )

    assert past(instance) == 0
    assert capsys.readouterr().out == (
        f"{_when(NOON)}  failover           done after 60 s    Ana: a fire; "
        "only the origin has a record of its end\n"
    )

    assert past(instance, as_json=True) == 0
    (said,) = json.loads(capsys.readouterr().out)["entries"]
    assert (said["person"], said["end_kept_on"]) == ("Ana", ["origin"])


def test_a_host_that_is_silent_keeps_nobody_from_the_other_s_history(
    instance: OdooInstance, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    uno = FakeHost("uno", {"read-history *": Unreachable("uno did not answer")})
    hosts(uno, FakeHost("due", {"read-history *": entry().as_text()}))
    with caplog.at_level("WARNING"):
        assert past(instance) == 0
    assert "the history on uno is not read: uno did not answer" in caplog.text

    silent = Unreachable("due did not answer")
    hosts(uno, FakeHost("due", {"read-history *": silent}))
    with pytest.raises(Unreachable, match="neither uno nor due gave the history of vps_1"):
        past(instance)
