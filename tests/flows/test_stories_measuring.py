"""What the board and check ask as things are, and whom they wake: once, and for a reason."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.server.utilities.user_templates import render_user_template_sync
from prefect.states import Completed, Failed
from prefect.types._datetime import now

from blocks.errors import Busy, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from deployments.automations import SILENCE
from flows.rsync_filestore import rsync_filestore
from tasks.authority import exposure
from tasks.board import announce, board
from tasks.board.alarms import Measured
from tasks.notices import emitter, events, schedules
from tasks.orchestrator import schedules as on_a_page
from tasks.postgres.wal import Lsn
from tasks.readiness import at_home, compatibility, failed_over
from tasks.readiness.probes import NOT_MEASURED, look_at_both
from tasks.receipts import receipts
from tasks.receipts.receipt import Receipt
from tasks.records import records
from tasks.records.schema import Record
from tasks.recovery import users
from tasks.run import terminal
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, control, dead, need, serving, standby
from tests.flows.test_synchronous import STATE, waiting

PRIMARY = {
    "look 13 main *": "5432 online f /var/lib/postgresql/13/main\n" + control("in_production")
}
AWARDED = Receipt("vps_1", 4, "forced", "origin", "recovery", "71", 1, "", "2026-01-01T00:00:00Z")
GONE_ON = json.dumps({"state": "gone on", "since": "2027-01-15T08:00:00Z"})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the events that leave."""
    names: list[str] = []

    def note(instance: str, name: str, said: str, *, timezone: str = "") -> None:
        del timezone
        assert instance in said
        names.append(name)

    monkeypatch.setattr(emitter, "emit", note)
    monkeypatch.setattr(events, "emit", note)
    return names


def test_where_both_write_the_first_word_is_both_and_names_who_has_the_write_right(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts(FakeHost("uno", PRIMARY), FakeHost("due", serving()))
    monkeypatch.setattr(receipts, "newest", lambda _: AWARDED)

    with pytest.raises(RelevoError) as said:
        failed_over.roles(instance, look_at_both(instance))

    assert said.value.message == (
        "BOTH uno and due accept writes: the newest receipt gives the write right to due; power "
        "uno off now"
    )


def test_where_customers_are_served_from_the_recovery_host_their_odoo_there_is_measured(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), FakeHost("due", serving()))
    ends = look_at_both(instance)

    with pytest.raises(RelevoError, match="customers are served from the recovery host, due"):
        failed_over.roles(instance, ends)
    with pytest.raises(
        RelevoError, match=r"odoo_vps_1\.service on due is not running, so customers"
    ):
        need(failed_over.NEEDS, "Odoo at the recovery").ask(instance)
    assert need(failed_over.NEEDS, "origin").ask(instance) == [
        "uno does not answer",
        "uno does not answer: what customers write is only on due",
    ]


def test_what_needs_a_cluster_that_is_not_there_is_not_asked(
    instance: OdooInstance, hosts: Hosts
) -> None:
    down = {"look 13 vps_1 *": "5433 down unknown /var/lib/postgresql/13/vps_1\n"}
    disks = "Avail 1B-blocks File\n90 100 /var/lib/postgresql/13/vps_1\n"
    due = FakeHost("due", {**down, "df *": disks, "read *": "", "receipts *": ""})
    hosts(dead(), due)

    found = at_home.probe(instance, look_at_both(instance))

    assert found.wrong == ["uno does not answer"]
    assert [name for name, said in found.facts.items() if said != NOT_MEASURED] == [
        "roles", "moves", "users", "signing key", "disk at the recovery",
    ]  # fmt: skip
    assert not found.is_good("stream")


@pytest.mark.parametrize(("listens", "more"), [("", ""), ("LISTEN\n", ", and something listens")])
def test_a_postgresql_that_an_upgrade_took_is_said_with_what_brings_it_back(
    instance: OdooInstance, hosts: Hosts, listens: str, more: str
) -> None:
    """It was said to be starting, or to be replicated anew."""
    due = FakeHost("due", {"look 13 vps_1 *": "lost\n", "listens 5433": listens})
    hosts(dead(), due)

    said = rf"(?s)due has no PostgreSQL 13 any more, which runs 13/vps_1{more}.*HINT: install post"
    with pytest.raises(Refused, match=said):
        look_at_both(instance)


@pytest.mark.parametrize(
    ("lacking", "has", "said"),
    [
        (
            "/usr/lib/postgresql/13/bin/postgres\n",
            "es_ES.utf8\n",
            "due has no PostgreSQL 13 any",
        ),
        ("", "C\nPOSIX\n", "due lacks the locales of uno: es_ES.UTF-8\nHINT: generate them"),
    ],
)
def test_what_an_upgrade_takes_from_a_cluster_that_still_runs_is_red(
    instance: OdooInstance, hosts: Hosts, lacking: str, has: str, said: str
) -> None:
    """Whoever was connected stays, and after the next start nobody comes in."""
    uno = FakeHost("uno", {"SELECT DISTINCT l AS locale*": '[{"locale": "es_ES.UTF-8"}]'})
    hosts(uno, FakeHost("due", {"missing *": lacking, "locale -a": has}))

    with pytest.raises(Refused, match=said):
        need(at_home.NEEDS, "parity").ask(instance)


def test_that_commits_go_on_without_a_dead_recovery_host_is_told_once_and_noted_at_the_origin(
    instance: OdooInstance, hosts: Hosts, told: list[str]
) -> None:
    synchronous, noted = waiting(instance, "go_on"), "read /var/lib/relevo/vps_1/told.json"
    kept = json.dumps({"alarms": ["not-synchronous"], "seen": ["not-synchronous"]})
    uno = FakeHost("uno", {STATE: GONE_ON, noted: ["", kept], "install *": "installed"})
    hosts(uno, FakeHost("due", {"*": Unreachable("due did not answer")}))

    for _ in range(2):
        with terminal.without_server():
            rows = board.measure([synchronous])
            announce.tell([synchronous], rows)
        assert rows[0][0].synchronous is False

    assert told == ["not-synchronous"]
    assert uno.changes == ["install /var/lib/relevo/vps_1/told.json root:root 600 "]


def test_a_recovery_host_that_is_back_takes_over_what_was_told_without_it(
    instance: OdooInstance, hosts: Hosts, told: list[str]
) -> None:
    """Commits wait again some seconds after it follows: till then nobody is told anew."""
    kept = json.dumps({"alarms": ["not-synchronous"], "seen": ["not-synchronous"]})
    uno = FakeHost("uno", {"read /var/lib/relevo/vps_1/told.json": kept, "rm *": ""})
    due = FakeHost("due", {"read *": "", "install *": "installed"})
    hosts(uno, due)
    seen = Measured("vps_1", 1, roles="primary/standby", served="origin", synchronous=False)

    with terminal.without_server():
        announce.tell([instance], [(seen, "red", [])])

    assert told == []
    assert uno.changes == ["rm -f /var/lib/relevo/vps_1/told.json"]
    assert due.changes == ["install /var/lib/relevo/vps_1/notes/told.json root:root 600 "]


def test_a_note_that_cannot_be_read_keeps_nobody_from_being_told(
    instance: OdooInstance, hosts: Hosts, told: list[str]
) -> None:
    newer = instance.model_copy(update={"name": "vps_2"})
    notes = {
        "read /var/lib/relevo/vps_2/notes/told.json": '{"version": 2}',
        "read *": "", "install *": "installed",
    }  # fmt: skip
    due = FakeHost("due", notes)
    hosts(FakeHost("uno", {}), due)
    seen = [
        Measured(each, 1, roles="silent/standby", two_writers=f"{each} has two writers")
        for each in ("vps_2", "vps_1")
    ]

    with terminal.without_server():
        announce.tell([newer, instance], [(each, "red", []) for each in seen])

    assert told == ["two-writers", "two-writers"]
    assert due.changes == [
        f"install /var/lib/relevo/{name}/notes/told.json root:root 600 "
        for name in ("vps_2", "vps_1")
    ]


def test_an_instance_whose_users_cannot_be_read_is_red_and_blinds_no_other(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = instance.model_copy(update={"name": "vps_2"})

    def as_found(each: OdooInstance) -> OdooInstance:
        if each.name == "vps_2":
            raise Refused("the record users.json was written by a newer Relevo")
        return each

    monkeypatch.setattr(users, "as_found", as_found)
    monkeypatch.setattr(board, "_measure", lambda each: Measured(each.name, 1, roles="primary"))

    rows = {seen.instance: (colour, why) for seen, colour, why in board.measure([other, instance])}

    assert rows["vps_2"] == ("red", ["the record users.json was written by a newer Relevo"])
    assert "users.json" not in str(rows["vps_1"])


def test_an_origin_that_counts_without_an_end_is_red_and_blinds_no_other(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL has a number for that, and Python no whole one."""
    written = '[{"at": 1.5, "lsn": "0/3", "next_xid": Infinity}]'
    hosts(FakeHost("uno", {"SELECT extract*": written}), FakeHost("due", standby()))

    def measured(each: OdooInstance) -> Measured:
        if each.name == "vps_1":
            exposure.sample_link(each)
        return Measured(each.name, 1, roles="primary")

    monkeypatch.setattr(board, "_measure", measured)
    other = instance.model_copy(update={"name": "vps_2"})

    rows = {seen.instance: (colour, why) for seen, colour, why in board.measure([other, instance])}

    colour, (why,) = rows["vps_1"]
    assert colour == "red"
    assert "is not understood: OverflowError" in why
    assert "understood" not in str(rows["vps_2"])


@pytest.mark.parametrize("said", ["F" * 400 + "/0", "-1/0", "0x1/0", "1_0/0", "0/3/0", ""])
def test_what_is_no_position_in_the_wal_is_none(said: str) -> None:
    with pytest.raises(ValueError, match="is no position in the write-ahead log"):
        Lsn.parse(said)


def test_a_figure_that_cannot_be_judged_is_red_and_blinds_no_other(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(each: OdooInstance) -> Measured:
        lag = 10**400 if each.name == "vps_1" else 1
        return Measured(each.name, 1, roles="primary", lag_bytes=lag)

    monkeypatch.setattr(users, "as_found", lambda each: each)
    monkeypatch.setattr(board, "_measure", measured)
    other = instance.model_copy(update={"name": "vps_2"})

    with terminal.without_server():
        rows = {
            seen.instance: (colour, why) for seen, colour, why in board.measure([other, instance])
        }

    assert rows["vps_1"][0] == "red"
    assert "OverflowError" in str(rows["vps_1"])
    assert "understood" not in str(rows["vps_2"])


def test_where_nobody_can_be_asked_nothing_is_said_of_commits(
    instance: OdooInstance, hosts: Hosts, told: list[str]
) -> None:
    synchronous = waiting(instance, "go_on")
    hosts(dead(), FakeHost("due", {"*": Unreachable("due did not answer")}))

    with terminal.without_server():
        rows = board.measure([synchronous])
        announce.tell([synchronous], rows)

    assert rows[0][0].synchronous is None
    assert told == []


def test_that_nobody_can_work_is_told_at_the_second_board_in_a_row_and_not_again(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    notes: list[Record] = []
    monkeypatch.setattr(records, "read", lambda *_: notes[-1] if notes else None)
    monkeypatch.setattr(records, "write", lambda *given: notes.append(given[-1]))
    down = Measured("vps_1", 1, roles="silent/standby", nobody_works="uno does not answer")
    up = Measured("vps_1", 1, roles="primary/standby", served="origin")

    with terminal.without_server():
        for seen in (up, down, up, down, down, down):
            announce.tell([instance], [(seen, "red", [])])

    assert told == ["not-served"]


@pytest.fixture
def runs(prefect: None, instance: OdooInstance) -> Iterator[Any]:
    """End a run of a copy of this instance, and say so as Prefect would."""
    with get_client(sync_client=True) as client:
        flow = client.create_flow(rsync_filestore)
        made = client.create_deployment(flow, instance.name)

        def end(error: RelevoError | None) -> None:
            run = client.create_flow_run_from_deployment(made, tags=["instance:vps_1"])
            if error is None:
                client.set_flow_run_state(run.id, Completed(), force=True)
                return
            state: State[object] = Failed(message=f"{error}", data=error)
            client.set_flow_run_state(run.id, state, force=True)
            events.tell_refused(Flow(print), run, state)

        yield end


def test_a_refused_copy_is_told_when_it_begins_to_refuse_and_not_every_five_minutes(
    runs: Any, told: list[str]
) -> None:
    gone, other = "{} of 40 files of vps_1 are gone", "the folder of vps_1 is not mounted"
    for error in (
        Refused(gone.format(30)), Refused(gone.format(31)), Refused(other), Busy("vps_1: busy"),
        None, Refused(other),
    ):  # fmt: skip
        runs(error)

    assert told == ["filestore-refused"] * 3


def test_the_silence_of_copies_says_since_when_what_may_be_down_and_where_to_look() -> None:
    event = {"resource": {"relevo.instance": "vps_1"}, "occurred": now("UTC")}

    said = render_user_template_sync(SILENCE, {"event": event})

    assert said.startswith("No copy of the files of vps_1 has succeeded since 20")
    assert "relevo check vps_1" in said
    assert "{" not in said


def test_nothing_of_a_server_is_needed_to_ask_whose_schedules_are_off(
    instance: OdooInstance,
) -> None:
    with terminal.without_server():
        assert schedules.idle([instance]) == set()


def test_each_server_is_asked_for_the_versions_of_its_programs_with_everything_else(
    instance: OdooInstance, hosts: Hosts
) -> None:
    kept = "/usr/local/lib/relevo"
    said = "13.9\n2.31\n1.5\n9000\n8000\n0.0.9\nunknown\nshut\n"
    able = '[{"rewindable": true, "archives": false}]'
    answers: dict[str, Answer] = {
        "side *": said, "SELECT 'on' IN *": able, "wal-is *": "folder\n",
        "getent passwd postgres": "postgres:x:1:1::/var/lib/postgresql:/bin/bash\n",
        "read /var/lib/postgresql/.postgresql/*": "",
    }  # fmt: skip
    uno, due = FakeHost("uno", PRIMARY | answers), FakeHost("due", serving() | answers)
    hosts(uno, due)

    found = [compatibility._side(instance, place) for place in (instance.origin, instance.recovery)]

    assert [each.programs for each in found] == [("0.0.9", "unknown")] * 2
    asked = [" ".join(a for a in host.ran if a.startswith("side ")) for host in (uno, due)]
    assert asked[0].endswith(f"\n {kept}/fresh-start {kept}/guard {kept}/vps_1-gate")
    assert asked[1].endswith(f"\n {kept}/fresh-start {kept}/right {kept}/filestore.pyz")


def test_what_was_kept_aside_is_said_with_its_size(instance: OdooInstance, hosts: Hosts) -> None:
    aside = "/var/lib/postgresql/13/vps_1.quarantine-1-0-30"
    answers: dict[str, Answer] = {
        **serving(), "find *": f"{aside}\0{aside}.only-here\0", "du *": f"5 {aside}\n500 total\n",
        "df *": [f"Avail 1B-blocks File\n{free} 1000 /var/lib/postgresql/13/vps_1\n"
                 for free in (900, 400)],
    }  # fmt: skip
    due = FakeHost("due", answers)
    hosts(dead(), due)
    ask = need(at_home.NEEDS, "disk at the recovery").ask

    assert ask(instance) == "900 bytes free; 1 data directory kept aside on due, 500 bytes"
    with pytest.raises(
        RelevoError, match="kept aside on due, 500 bytes, and only 400 bytes are free"
    ) as said:
        ask(instance)
    assert "delete those that nobody needs" in said.value.hint
    assert f"du --summarize --total --block-size=1 -- {aside}" in due.ran


@pytest.mark.parametrize(("served", "on"), [("origin", True), ("recovery", False), ("both", None)])
def test_schedules_are_switched_as_is_right_now_whatever_a_shell_left_word_of(
    instance: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, served: str, on: object
) -> None:
    """A shell moved the customers away, and the button has brought them home since."""
    word = f'{{"on": {json.dumps(not on)}}}'
    due = FakeHost("due", {"read *schedules.json": word, "read *": "", "rm *": ""})
    hosts(FakeHost("uno", {}), due)
    turned: list[bool] = []
    monkeypatch.setattr(on_a_page, "turn", lambda _, *, on: turned.append(on))
    seen = Measured("vps_1", 1, served=served, left_word=True)

    with terminal.without_server():
        board.catch_up([instance], [(seen, "green", [])])

    assert turned == ([] if on is None else [on])
    assert bool(due.changes) == (on is not None)


@pytest.mark.parametrize(
    ("said", "shut"), [("open\n", ()), ("silent\n", ("80",)), ("shut\n", ("80",))]
)
def test_the_way_of_customers_to_the_recovery_host_is_tried_from_the_origin(
    instance: OdooInstance, hosts: Hosts, said: str, shut: tuple[str, ...]
) -> None:
    uno = FakeHost("uno", {"web *": said})
    hosts(uno, FakeHost("due"))

    assert compatibility._shut_to_customers(instance) == shut
    assert uno.ran[0].endswith(" 10.0.0.2 80")
    assert compatibility._shut_to_customers(instance.model_copy(update={"domains": ()})) == ()
