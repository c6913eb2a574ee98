"""The time machine as the runner meets it: off, well, with a gap, and refusing."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from blocks.errors import CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import Filestore, OdooInstance
from blocks.time_machine import TimeMachine
from flows.bring_back import bring_back
from flows.bring_back_records import bring_back_records
from tasks.archive import archive, left, mass
from tasks.notices import emitter
from tasks.past import backup, export, proof
from tasks.past.chosen import choose
from tasks.past.scratch import Past
from tasks.readiness import at_home, failed_over
from tasks.readiness.drill_steps import Stage
from tasks.readiness.probes import Need
from tasks.run.moments import Clock
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, dead, identity, need, standby

WELL = {
    "bytes": 2e9, "free": 9e9, "state": {"at": 1000.0, "kind": "", "said": "", "taking": ""},
    "now": 1001.0, "since": 60.0, "until": None, "reaches_now": True, "gaps": [], "bases": 2,
    "spoiled": [], "wal_a_day": 2e8, "base": 7e8,
}  # fmt: skip
Facts = dict[str, object]
PROVEN: Facts = {"at": time.time() - 7200, "moment": 600.0}
TRASH = {"at": 0, "seen": {"a": 172800.0}, "sizes": {"a": 2_000_000}}
JUDGE = f"python3 -I {archive.PROGRAM} judge /var/lib/relevo/vps_1/postgres/archive.json"
AT = datetime(2026, 11, 24, 18, tzinfo=UTC)


@pytest.fixture
def kept(instance: OdooInstance) -> OdooInstance:
    return instance.model_copy(update={"time_machine": TimeMachine(days=7, limit_gb=10)})


def says(facts: Facts, *, proven: Facts | None = PROVEN, drilled: Facts | None = None) -> FakeHost:
    """A recovery host whose time machine says so, and what came of the last drills."""
    return FakeHost(
        "due",
        {
            JUDGE: f"RELEVO {json.dumps(facts)}\n",
            "read */notes/proven.json": json.dumps(proven) if proven else "",
            "read */notes/drilled.json": json.dumps(drilled) if drilled else "",
            "read */notes/trash.json": json.dumps(TRASH),
            "read */archive/mass.json *": "",
        },
    )


@pytest.mark.parametrize("needs", [at_home.NEEDS, failed_over.NEEDS])
def test_an_instance_without_a_time_machine_is_asked_nothing(
    instance: OdooInstance, hosts: Hosts, needs: tuple[Need, ...]
) -> None:
    hosts(uno := FakeHost("uno"), due := FakeHost("due"))
    assert need(needs, "time machine").ask(instance) == ["off"]
    assert uno.ran == due.ran == []


def test_check_says_since_when_any_second_can_be_brought_back(
    kept: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), says(WELL))
    (said,) = archive.measure(kept)
    assert said == (
        "any second since 1970-01-01 00:01:00 (UTC); 2.0 GB of 10 GB, 2 base backups; "
        "301 MB a day (WAL 200 MB, base backups 100 MB, deleted files 1.0 MB); "
        "last proof 2 h ago, of 1970-01-01 00:10:00 (UTC)"
    )


def test_a_cost_that_was_measured_for_a_moment_is_not_said(
    kept: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), says({**WELL, "wal_a_day": None}))
    (said,) = archive.measure(kept)
    assert "; its cost of a day is not measured yet; " in said


def test_a_proof_that_failed_is_red_and_one_that_missed_files_is_amber(
    kept: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), says(WELL, proven={**PROVEN, "failed": "Odoo did not answer"}))
    with pytest.raises(RelevoError) as said:
        archive.measure(kept)
    assert said.value.message == (
        "the last proof of the time machine failed 2 h ago: Odoo did not answer"
    )
    hosts(dead(), says(WELL, proven={**PROVEN, "missing": 3}))
    _, remark = archive.measure(kept)
    assert remark.startswith("3 files of 1970-01-01 00:10:00 (UTC) are nowhere")


def test_what_was_never_opened_or_long_ago_is_amber(kept: OdooInstance, hosts: Hosts) -> None:
    hosts(dead(), says(WELL, proven={**PROVEN, "at": time.time() - 100 * 86400}))
    assert archive.measure(kept)[1] == (
        "the last proof of the time machine was 100 d ago: run drill with opens=past"
    )
    hosts(dead(), says(WELL, proven=None))
    said, remark = archive.measure(kept)
    assert said.endswith("; no proof yet")
    assert remark == "the time machine is not proven yet: run drill with opens=past"


def test_a_gap_is_a_remark_with_both_of_its_ends(kept: OdooInstance, hosts: Hosts) -> None:
    hosts(dead(), says({**WELL, "gaps": [[120.0, 180.0]]}))
    _, remark, *_ = archive.measure(kept)
    assert remark == (
        "nobody can go back to what was between 1970-01-01 00:02:00 (UTC) and "
        "1970-01-01 00:03:00 (UTC)"
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"until": 300.0}, "nobody can go back to what came after 1970-01-01 00:05:00"),
        ({"now": 5000.0}, "the time machine has said nothing for 67 min"),
        ({"state": {}}, "the time machine has said nothing yet"),
        ({"since": None}, "no base backup is whole"),
        ({"state": {"at": 1000.0, "kind": "full", "said": "limit"}}, "its 10 GB are full"),
        (
            {"since": None, "state": {"at": 1000.0, "kind": "base", "said": "limit 4000000000"}},
            "three base backups of 4.0 GB do not fit in 10 GB",
        ),
    ],
)
def test_what_is_not_kept_now_is_red(
    kept: OdooInstance, hosts: Hosts, facts: dict[str, object], said: str
) -> None:
    hosts(dead(), says({**WELL, **facts}))
    with pytest.raises(RelevoError, match=said):
        archive.measure(kept)


def test_the_first_base_backup_is_no_alarm(kept: OdooInstance, hosts: Hosts) -> None:
    state = {"at": 1000.0, "kind": "", "said": "", "taking": "20261124T180000Z"}
    hosts(dead(), says({**WELL, "since": None, "state": state}))
    said, *_ = archive.measure(kept)
    assert said.startswith("the first base backup is being taken; ")


def test_nothing_is_brought_back_of_an_instance_that_keeps_nothing(
    instance: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    due = FakeHost("due", {**standby(), "hold vps_1.look *": "held 1"})
    hosts(dead(), due)
    with pytest.raises(Refused, match="vps_1 has no time machine"):
        bring_back(instance, AT, "shop", tmp_path / "shop.zip")
    assert [each for each in due.changes if not each.startswith("hold ")] == []


def test_a_backup_overwrites_nothing(kept: OdooInstance, hosts: Hosts, tmp_path: Path) -> None:
    hosts(uno := FakeHost("uno"), due := FakeHost("due"))
    (there := tmp_path / "shop.zip").touch()
    with pytest.raises(Refused, match="is there already"):
        bring_back(kept, AT, "shop", there)
    with pytest.raises(Refused, match="is no folder to write in"):
        bring_back(kept, AT, "shop", tmp_path / "nowhere" / "shop.zip")
    assert uno.ran == due.ran == []


def test_deleted_files_are_kept_as_long_as_a_database_that_names_them(
    kept: OdooInstance, instance: OdooInstance
) -> None:
    assert instance.trash_days == 30
    assert kept.trash_days == 30
    long = kept.model_copy(update={"time_machine": TimeMachine(days=60, limit_gb=1, base_days=10)})
    assert long.trash_days == 71
    few = kept.model_copy(update={"filestore": Filestore(retention_days=1)})
    assert few.trash_days == 15


def is_past(instance: OdooInstance, opens: proof.Opens) -> bool:
    """Tell whether a drill opens the past."""
    at = proof.choose(instance, opens)
    assert at is None or 60 <= at.timestamp() < 1001
    return at is not None


def ago(seconds: float) -> Facts:
    return {"at": time.time() - seconds, "seconds": 1.0, "moment": 60.0}


@pytest.mark.parametrize(
    ("drilled", "proven", "past"),
    [
        (None, None, False),
        (ago(60), None, True),
        (ago(60), ago(3600), True),
        (ago(3600), ago(60), False),
    ],
)
def test_a_drill_opens_now_and_a_random_second_of_the_past_in_turn(
    kept: OdooInstance, hosts: Hosts, drilled: Facts | None, proven: Facts | None, *, past: bool
) -> None:
    hosts(dead(), says(WELL, drilled=drilled, proven=proven))
    assert is_past(kept, "in turn") is past
    assert is_past(kept, "past")
    assert not is_past(kept, "now")


def test_a_drill_opens_now_where_no_past_is_kept(
    instance: OdooInstance, kept: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), says({**WELL, "since": None}, drilled=ago(60), proven=None))
    assert not is_past(instance, "in turn")
    assert not is_past(kept, "in turn")
    with pytest.raises(Refused, match="has no time machine"):
        proof.choose(instance, "past")
    with pytest.raises(Refused, match="has no whole base backup"):
        proof.choose(kept, "past")


def test_what_comes_of_a_proof_is_noted_and_a_host_that_is_silent_is_no_verdict(
    kept: OdooInstance, hosts: Hosts
) -> None:
    hosts(dead(), due := FakeHost("due", {"*": ""}))
    with pytest.raises(CommandFailed), proof.noted(kept, AT):
        raise CommandFailed("Odoo of vps_1 would not\nrun on due")
    assert json.loads(due.wrote[-1])["failed"] == "Odoo of vps_1 would not run on due"
    with proof.noted(kept, AT) as trial:
        trial.missing = 2
    assert json.loads(due.wrote[-1]) | {"at": 0} == {
        "at": 0, "failed": "", "missing": 2, "moment": AT.timestamp(), "version": 1,
    }  # fmt: skip
    with pytest.raises(Unreachable), proof.noted(kept, AT):
        raise Unreachable("due did not answer")
    assert len(due.wrote) == 2


def test_records_are_chosen_at_the_door_and_written_over_nothing(
    kept: OdooInstance, hosts: Hosts, tmp_path: Path
) -> None:
    hosts(uno := FakeHost("uno"), due := FakeHost("due"))
    path = tmp_path / "partners.csv"
    with pytest.raises(Refused, match="is no name of a model"):
        bring_back_records(kept, AT, "shop", "res partner", path, ids="1")
    with pytest.raises(Refused, match="is no domain"):
        bring_back_records(kept, AT, "shop", "res.partner", path, domain="name = 'Ana'")
    path.touch()
    with pytest.raises(Refused, match="is there already"):
        bring_back_records(kept, AT, "shop", "res.partner", path, ids="1")
    assert uno.ran == due.ran == []


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"refused": "unknown"}, "shop has no model res.partner"),
        ({"refused": "nothing-kept"}, "res.partner keeps no records"),
        ({"refused": "too-many"}, "more than 100000 records of res.partner fit"),
        ({"refused": "too-big"}, "the records of res.partner take more than 256 MB"),
        ({"refused": "", "complaint": "ValueError: x"}, "Odoo cannot read res.partner of then: V"),
        ({"rows": 0, "lacking": [], "sha256": "", "size": 9}, "no record of res.partner was there"),
        ({}, "is not understood"),
    ],
)
def test_records_that_cannot_be_read_are_refused_with_a_sentence(
    kept: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch,
    made: dict[str, object], said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(backup, "run", lambda *_, **__: made)
    hosts(dead(), FakeHost("due"))
    stage = Stage(kept, PurePosixPath("/scratch"), kept.recovery.cluster, kind="look")
    past = Past(stage, AT, "base", "never", "1.0")
    with pytest.raises(RelevoError, match=said):
        export.table(past, "shop", choose("res.partner", "[]", ""), PurePosixPath("/h/r.csv"))


SYSTEM = json.loads(identity("in_archive_recovery"))["system_identifier"]
FOLDER, WAITS = "/var/lib/relevo/vps_1/archive", f"/var/lib/relevo/.past/{SYSTEM}"


def leaving(**there: int) -> FakeHost:
    """A recovery host on which the past of vps_1 is in its folder, or waits."""
    paths = {f"test -e {FOLDER}": there["folder"], f"test -e {WAITS}": there["waits"]}
    acts: dict[str, Answer] = {
        "give_tree *": "0 \n", "take *": "", "move *": "", "rm -rf *": "", "empty *": "",
    }  # fmt: skip
    return FakeHost("due", {**paths, **acts, **standby()})


def test_the_past_of_an_instance_that_is_taken_out_waits_for_its_next_replica(
    kept: OdooInstance, hosts: Hosts
) -> None:
    owner, folder = kept.recovery.cluster.owner, PurePosixPath(FOLDER)
    hosts(dead(), due := leaving(folder=0, waits=1))
    left.keep(kept, folder, delete=False)
    assert due.changes == [
        f"give_tree {FOLDER} {owner}: root:", "take /var/lib/relevo/.past root 700",
        f"move {FOLDER} {WAITS}",
    ]  # fmt: skip
    hosts(dead(), due := leaving(folder=1, waits=0))
    assert left.adopt(kept, folder)
    assert due.changes[:2] == [f"give_tree {WAITS} root: {owner}:", f"move {WAITS} {FOLDER}"]


def test_a_past_is_deleted_only_if_that_is_asked_for_and_never_mixed(
    kept: OdooInstance, hosts: Hosts
) -> None:
    folder = PurePosixPath(FOLDER)
    hosts(dead(), due := leaving(folder=0, waits=0))
    with pytest.raises(Refused, match="the past of the same cluster"):
        left.keep(kept, folder, delete=False)
    assert not left.adopt(kept, folder)
    assert due.changes == []
    left.keep(kept, folder, delete=True)
    assert due.changes == [f"rm -rf --one-file-system {FOLDER}"]
    hosts(dead(), due := leaving(folder=1, waits=1))
    left.keep(kept, folder, delete=False)
    assert not left.adopt(kept, folder)
    assert due.changes == []


def saw(*changes: Facts, named: dict[str, Answer], told: tuple[str, ...] = ()) -> FakeHost:
    """A recovery host whose time machine has seen mass changes."""
    return FakeHost(
        "due",
        {
            **named,
            "read */archive/mass.json *": json.dumps(changes),
            "read */notes/warned.json": json.dumps({"keys": told}),
            "read */odoo.conf": "[options]\ndb_user = odoo\n",
            "SELECT d.datname *": json.dumps(
                [{"name": "shop", "owner": "odoo", "role": "odoo", "may": True}]
            ),
            "install *": "",
            "*": "",
        },
    )


NOW = time.time()
GONE: Facts = {
    "kind": "deleted", "database": "shop", "file": 16400, "rows": 1200, "share": 0.9, "at": NOW,
}  # fmt: skip
SHRANK: Facts = {"kind": "shrank", "database": "shop", "from": 4e9, "to": 1e9, "at": NOW}
NAMED: dict[str, Answer] = {"SELECT c.relname *": '[{"name": "res_partner", "passing": false}]'}


def events_of(
    kept: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, due: FakeHost
) -> list[str]:
    """What is told of what a recovery host has seen."""
    said: list[str] = []
    monkeypatch.setattr(emitter, "emit", lambda *words: said.append(words[2]))
    hosts(dead(), due)
    mass.tell([kept])
    return said


def test_mass_changes_are_told_once_by_the_name_of_their_table(
    kept: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = saw(GONE, SHRANK, named=NAMED)
    first, second = events_of(kept, hosts, monkeypatch, due)
    assert first.startswith("vps_1: 1200 rows of res_partner in shop were deleted by ")
    assert second.startswith("vps_1: shop took 4.0 GB and takes 1.0 GB, seen at ")
    told = tuple(json.loads(due.wrote[-1])["keys"])
    assert len(told) == 2
    assert events_of(kept, hosts, monkeypatch, saw(GONE, SHRANK, told=told, named=NAMED)) == []
    hosts(dead(), saw(GONE, named=NAMED))
    assert len(mass.remarks(kept, Clock())) == 1


@pytest.mark.parametrize(
    ("name", "passing"), [("bus_bus", False), ("base_import_import", True), ("mail_mail", False)]
)
def test_what_empties_itself_is_no_news(
    kept: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, name: str, *, passing: bool
) -> None:
    row = json.dumps([{"name": name, "passing": passing}])
    due = saw(GONE, named={"SELECT c.relname *": row})
    assert events_of(kept, hosts, monkeypatch, due) == []


def test_what_is_old_or_of_a_table_that_is_gone_or_of_another_s_database_is_no_news(
    kept: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = saw({**GONE, "at": NOW - 2 * 86400}, named=NAMED)
    assert events_of(kept, hosts, monkeypatch, due) == []
    due = saw(GONE, named={"SELECT c.relname *": "[]"})
    assert events_of(kept, hosts, monkeypatch, due) == []
    assert (
        events_of(kept, hosts, monkeypatch, saw({**GONE, "database": "other"}, named=NAMED)) == []
    )


def test_an_instance_that_cannot_be_asked_of_mass_changes_stops_no_other(
    kept: OdooInstance, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = FakeHost("due", {"read */archive/mass.json *": "{", "*": ""})
    assert events_of(kept, hosts, monkeypatch, spoiled) == []
