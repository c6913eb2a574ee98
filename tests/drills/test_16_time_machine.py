"""Somebody deleted it: any second comes back, database and files; the origin notices nothing."""

import base64
import contextlib
import csv
import hashlib
import json
import shlex
import textwrap
import time
import xmlrpc.client
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.errors import CommandFailed, Refused, RelevoError
from blocks.instance import Filestore, OdooInstance
from blocks.time_machine import TimeMachine
from flows.bring_back import bring_back
from flows.bring_back_records import bring_back_records
from flows.check import check
from flows.drill import drill
from flows.failback import failback
from flows.failover import failover
from flows.reconcile_filestore import reconcile_filestore
from flows.rsync_filestore import rsync_filestore
from tasks.archive import archive
from tasks.past import viewing
from tasks.run import terminal
from tasks.run.report import Report
from tests.documents import block, filled
from tests.lab.client import Client, Odoo, Written, written
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers
from tests.receivers import web
from tests.stack import Stack

SETTINGS = "SELECT name, setting FROM pg_settings ORDER BY name"
OF_THE_ORIGIN = (
    "SELECT slot_name, slot_type, temporary FROM pg_replication_slots",
    "SELECT application_name, state FROM pg_stat_replication",
    "SELECT rolname, rolsuper, rolreplication FROM pg_roles ORDER BY rolname",
)
# What a way home leaves at an origin, with a time machine or without: whom it followed meanwhile.
OF_A_MOVE = ("primary_conninfo|", "primary_slot_name|")
UNITS = "systemctl list-units --plain --no-legend --type=service | awk '{print $1}' | grep -v '@'"
CONFIG = "sha256sum $(find /etc/postgresql -type f | sort)"
WAL = "SELECT pg_switch_wal() FROM pg_create_restore_point('drill')"
DATABASE, MASTER, NEW = "cliente1", "labmaster", "vps_nueva"


def _origin(pair: Pair) -> set[str]:
    """What PostgreSQL at the origin must have with a time machine as without, whatever moved."""
    said = (pair.at_origin(SETTINGS), *map(pair.at_origin, OF_THE_ORIGIN))
    return {line for text in said for line in text.splitlines() if not line.startswith(OF_A_MOVE)}


def _all_of_origin(pair: Pair) -> set[str]:
    """The same with its files and units, which a move changes and a time machine must not."""
    run = pair.origin.machine.run
    said = (pair.at_origin(SETTINGS), *(run("sh", "-c", each).stdout for each in (UNITS, CONFIG)))
    return {line for text in said for line in text.splitlines()} | _origin(pair)


@pytest.fixture
def kept(uno: Pair, blocks: dict[str, OdooInstance]) -> Iterator[OdooInstance]:
    """vps_uno with a time machine, which has its first base backup."""
    plain, before, all_of_it = blocks[uno.name], _origin(uno), _all_of_origin(uno)
    block = plain.model_copy(update={"time_machine": TimeMachine(days=7, limit_gb=20)})
    with terminal.without_server():
        archive.apply(block)
        wait_until(lambda: archive.look(block).since is not None, "a base backup", 120)
    assert _all_of_origin(uno) ^ all_of_it == set()
    try:
        yield block
        wait_until(uno.is_home, "it follows")
        assert _origin(uno) ^ before == set()
    finally:
        with terminal.without_server():
            archive.apply(plain)
        noted = f"/var/lib/relevo/{uno.name}"
        notes = (f"{noted}/notes/{each}.json" for each in ("proven", "warned"))
        uno.recovery.run("rm", "-rf", f"{noted}/archive", *notes)


@pytest.fixture
def untouched(uno: Pair, kept: OdooInstance) -> Iterator[None]:
    """Nothing at all of the origin is otherwise after a drill in which nobody moved."""
    del kept
    before = _all_of_origin(uno)
    yield
    assert _all_of_origin(uno) ^ before == set()


def _now() -> datetime:
    """A moment between two writes, whoever writes."""
    return datetime.fromtimestamp(time.time(), UTC)


def _documents(journal: Path, at: datetime) -> list[Written]:
    """What was acknowledged by then in the database that is brought back."""
    mine = [each for each in written(journal) if each.database == DATABASE]
    return [each for each in mine if each.at <= at.timestamp()]


class Restored:
    """A backup, as Odoo's own database manager restores it at the origin."""

    def __init__(self, pair: Pair, backup: Path, name: str) -> None:
        address, port = pair.origin.odoo
        self.pair, self.name = pair, name
        self.odoo = Odoo(address, port, name)
        self.service = xmlrpc.client.ServerProxy(f"http://{address}:{port}/xmlrpc/2/db")
        packed = base64.b64encode(backup.read_bytes()).decode()
        self.service.restore(MASTER, name, packed, True)

    def names(self) -> set[str]:
        asked = "SELECT name FROM ir_attachment WHERE name LIKE 'documento %'"
        return set(self.pair.at_origin(asked, self.name).splitlines())

    def sums(self, names: list[str]) -> dict[str, str]:
        user = self.odoo.login()
        found = self.odoo.call(
            "ir.attachment", "search_read", [["name", "in", names]],
            user=user, fields=["name", "datas"],
        )  # fmt: skip
        assert isinstance(found, list)
        return {
            row["name"]: hashlib.sha1(base64.b64decode(row["datas"] or "")).hexdigest()
            for row in found
        }

    def drop(self) -> None:
        self.service.drop(MASTER, self.name)


def _require_as_of(
    pair: Pair, backup: Path, journal: Path, at: datetime, *, bills: int | None = None
) -> None:
    """The rows are those of the client's ledger of that moment, and each has its content."""
    known = _documents(journal, at)
    restored = Restored(pair, backup, "de_entonces")
    try:
        there = restored.names()
        lacking = [each.name for each in known if each.name not in there]
        assert lacking == []
        # One more may have been saved, and not been acknowledged yet.
        assert len(there - {each.name for each in known}) <= 1
        sums = restored.sums([each.name for each in known])
        assert sums == {each.name: each.sha1 for each in known}
        if bills is not None:
            assert restored.pair.at_origin("SELECT count(*) FROM bill", "de_entonces") == str(bills)
    finally:
        restored.drop()


def _bills(pair: Pair) -> None:
    pair.at_origin("DROP TABLE IF EXISTS bill", DATABASE)
    pair.at_origin("CREATE TABLE bill AS SELECT generate_series(1, 201) AS n", DATABASE)
    pair.at_origin("ALTER TABLE bill OWNER TO odoo", DATABASE)


def _quiet(client: Client) -> datetime:
    """A moment at which a document was just acknowledged."""
    client.wait_until_acknowledged(6)
    at = _now()
    client.wait_until_acknowledged(2)
    return at


@pytest.mark.usefixtures("untouched")
def test_what_was_dropped_deleted_and_overwritten_comes_back(
    uno: Pair,
    kept: OdooInstance,
    customer: Callable[..., Client],
    stack: Stack,
    tmp_path: Path,
) -> None:
    """A dropped table, deleted rows, files that were removed and overwritten at the origin."""
    _bills(uno)
    client, journal = customer(uno), tmp_path / f"{uno.name}.journal"
    client.wait_until_acknowledged(30)
    whole = _quiet(client)
    rsync_filestore(kept, "filestore")

    uno.at_origin("DROP TABLE bill", DATABASE)
    without_bills = _quiet(client)
    client.stop()
    rsync_filestore(kept, "filestore")
    mine = _documents(journal, _now())
    folder = f"{uno.origin.data_dir}/filestore/{DATABASE}"
    for number, each in enumerate(mine):
        path = f"{folder}/{each.sha1[:2]}/{each.sha1}"
        line = f"echo ransom >{path}" if number % 2 else f"rm {path}"
        uno.origin.machine.run("sh", "-c", line)
    uno.at_origin("DELETE FROM ir_attachment WHERE name LIKE 'documento %'", DATABASE)
    # Nobody names the files any more: they go to the trash.
    careless = kept.model_copy(update={"filestore": Filestore(grace_hours=0)})
    reconcile_filestore(careless, repair_origin=False, accept_deletions=True)
    trash = uno.recovery.run("find", str(kept.trash), "-type", "f").stdout
    assert sum(each.sha1 in trash for each in mine) == len(mine)

    backup = tmp_path / "antes.zip"
    report = bring_back(kept, whole, DATABASE, backup)
    assert report.facts["files that nobody has"] == "0"
    assert int(report.facts["files from the trash"]) >= len(_documents(journal, whole))
    with zipfile.ZipFile(backup) as archived:
        assert {"dump.sql", "manifest.json"} <= set(archived.namelist())
        assert json.loads(archived.read("manifest.json"))["major_version"] == "14.0"
    _require_as_of(uno, backup, journal, whole, bills=201)

    typed = block("docs/undo.md", "Bring a database back", "relevo bring-back")
    later = tmp_path / "despues.zip"
    names = {
        "NAME": uno.name, "DATABASE": DATABASE, f"/root/{DATABASE}.zip": str(later),
        "2026-11-24 17:59:30": without_bills.isoformat(),
    }  # fmt: skip
    _typed(stack, typed, names)
    _require_as_of(uno, later, journal, without_bills)
    uno.at_origin("DROP TABLE IF EXISTS bill", DATABASE)
    no_strangers(uno, time_machine=True)


def _typed(stack: Stack, text: str, names: dict[str, str]) -> str:
    """Run a command of the page, with names in the place of its own."""
    with _in_the_inventory(stack):
        line = filled(text, names).replace("\\\n", " ")
        return stack.run(*_inventory(stack), *shlex.split(line)[1:])


def _inventory(stack: Stack) -> tuple[str, str]:
    return "--inventory", str(stack.folder.parent / "inventory.yaml")


@contextlib.contextmanager
def _in_the_inventory(stack: Stack) -> Iterator[None]:
    """Say of all instances that they have a time machine."""
    path = Path(_inventory(stack)[1])
    before = path.read_text()
    wanted = textwrap.indent(block("docs/undo.md", "Switch it on", "time_machine:"), "  ")
    path.write_text(before.replace("defaults:\n", f"defaults:\n{wanted}\n"))
    try:
        yield
    finally:
        path.write_text(before)


@pytest.mark.usefixtures("untouched")
def test_a_spoiled_segment_is_named_and_a_look_into_its_time_is_refused(
    uno: Pair, kept: OdooInstance, tmp_path: Path
) -> None:
    for at in [*range(12)]:
        uno.at_origin(f"CREATE TABLE filler_{at} (a int); DROP TABLE filler_{at}", DATABASE)
        uno.at_origin(WAL)
        if at == 3:
            time.sleep(0.2)
            inside = _now()
    time.sleep(0.2)
    uno.at_origin("CHECKPOINT")
    wait_until(uno.is_home, "it follows")
    folder, live = f"/var/lib/relevo/{uno.name}/archive/wal", uno.recovery
    uno.recovery.run("sh", "-c", "sleep 3")
    uno.at_recovery("CHECKPOINT")
    data = f"/var/lib/postgresql/{uno.lab.generation.postgres}/{uno.name}/pg_wal"
    there = live.run("ls", data).stdout.split()
    old = [each for each in live.run("ls", folder).stdout.split() if len(each) == 24]
    old = [each for each in old if each not in there]
    assert len(old) > 4
    victim = f"{folder}/{old[2]}"
    live.run("sh", "-c", f"echo spoiled | dd of={victim} bs=1 seek=90000 conv=notrunc status=none")

    with pytest.raises(Refused, match="nobody can go back to what"):
        check(kept)
    with pytest.raises(Refused, match="is lost"):
        bring_back(kept, inside, DATABASE, tmp_path / "never.zip")
    assert not (tmp_path / "never.zip").exists()
    with terminal.without_server():
        wait_until(lambda: archive.look(kept).until is None, "a base backup begins anew", 120)
        said = archive.measure(kept)
    assert said[1].startswith("nobody can go back to what was between")
    with pytest.raises(Refused, match="nothing is kept between"):
        bring_back(kept, inside, DATABASE, tmp_path / "never.zip")
    no_strangers(uno, time_machine=True)


def test_seconds_before_during_and_after_a_failover_come_back(
    uno: Pair, kept: OdooInstance, customer: Callable[..., Client], tmp_path: Path
) -> None:
    client, journal = customer(uno), tmp_path / f"{uno.name}.journal"
    home = _quiet(client)
    failover(kept)
    client.move_to(uno.recovery.address, uno.http_port)
    away = _quiet(client)
    failback(kept)
    client.move_to(*uno.origin.odoo)
    again = _quiet(client)
    client.stop()
    rsync_filestore(kept, "filestore")
    for name, at in (("home", home), ("away", away), ("again", again)):
        backup = tmp_path / f"{name}.zip"
        report = bring_back(kept, at, DATABASE, backup)
        assert report.facts["files that nobody has"] == "0"
        _require_as_of(uno, backup, journal, at)
    with terminal.without_server():
        assert archive.look(kept).gaps == ()
    assert check(kept).facts["time machine"].startswith("any second since")
    no_strangers(uno, time_machine=True)


@pytest.mark.usefixtures("untouched")
def test_an_instance_as_it_was_is_open_for_a_while_and_leaves_nothing(
    uno: Pair, kept: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    uno.at_origin("CREATE TABLE bill AS SELECT generate_series(1, 7) AS n", DATABASE)
    time.sleep(0.1)
    at = _now()
    time.sleep(0.1)
    uno.at_origin("DROP TABLE bill", DATABASE)
    seen: list[str] = []

    def stay(past: object, minutes: int, way: str) -> None:
        path = way.partition("-L 8069:")[2].partition(" ")[0]
        done = uno.recovery.run(
            "curl",
            "-sL",
            "-b",
            "",
            "--unix-socket",
            path,
            f"http://x/web/login?db={DATABASE}",
            user="admin",
        )  # fmt: skip
        seen.append(done.stdout)
        seen.append(uno.recovery.run("ls", "-l", path).stdout)
        del past, minutes

    monkeypatch.setattr(viewing, "stay", stay)
    from flows.look import look  # noqa: PLC0415  # after what it calls was replaced

    report = look(kept, at, minutes=1)
    assert "csrf_token" in seen[0]
    assert seen[1].startswith("srw------- 1 admin ")
    assert DATABASE in report.facts["databases that answered"]
    assert "relevo-look" not in uno.recovery.run("ls", "/run").stdout
    no_strangers(uno, time_machine=True)


@pytest.mark.usefixtures("untouched")
def test_what_was_not_then_is_refused_and_the_page_opens_what_was(
    uno: Pair, kept: OdooInstance, stack: Stack, tmp_path: Path
) -> None:
    never = tmp_path / "never.zip"
    with pytest.raises(Refused, match="has not come yet"):
        bring_back(kept, datetime(2100, 1, 1, tzinfo=UTC), DATABASE, never)
    with pytest.raises(Refused, match="the time machine begins at"):
        bring_back(kept, datetime(2020, 1, 1, tzinfo=UTC), DATABASE, never)
    with pytest.raises(Refused, match="had no database nadie"):
        bring_back(kept, _now(), "nadie", never)
    assert not never.exists()
    typed = block("docs/undo.md", "Look first", "relevo look")
    names = {"NAME": uno.name, "2026-11-24 17:59:30": _now().isoformat(), "60": "0"}
    assert "done" in _typed(stack, typed, names)
    no_strangers(uno, time_machine=True)


@pytest.mark.usefixtures("untouched")
def test_a_random_second_is_opened_in_turn_with_now_and_its_proof_is_on_the_board(
    uno: Pair, kept: OdooInstance
) -> None:
    assert "the time machine is not proven yet" in check(kept).facts["why"]
    report = drill(kept, opens="past")
    assert report.title == f"{uno.name} could be opened as it was at {_second(report)}"
    assert report.facts["databases that answered"] == "cliente1, cliente2"
    assert report.facts["files"].endswith("; 0 that nobody has")
    said = check(kept).facts["time machine"]
    assert f", of {_second(report)}" in said
    assert " a day" in said

    assert drill(kept, opens="now").title.startswith(f"{uno.name} could be served from")
    assert _second(drill(kept))  # the turn of the past
    assert "second that was opened" not in drill(kept).facts
    no_strangers(uno, time_machine=True)


def _second(report: Report) -> str:
    return report.facts["second that was opened"]


@pytest.mark.usefixtures("untouched")
def test_a_second_that_cannot_be_opened_turns_the_check_red_until_one_can(
    uno: Pair, kept: OdooInstance, stack: Stack
) -> None:
    config = str(kept.recovery.odoo.config)
    good = uno.recovery.read(config)
    uno.recovery.write(config, good.replace("http_port = ", "http_port = nonsense"))
    try:
        with pytest.raises(CommandFailed, match="nonsense"):
            drill(kept, opens="past")
    finally:
        uno.recovery.write(config, good)
    with pytest.raises(Refused, match=r"the last proof of the time machine failed .* ago: Odoo of"):
        check(kept)
    typed = block("docs/undo.md", "Prove it", "relevo run drill")
    _typed(stack, typed, {"NAME": uno.name})
    assert "last proof" in check(kept).facts["time machine"]
    no_strangers(uno, time_machine=True)


def test_replicate_switches_it_on_where_the_inventory_says_so_and_off_again(
    uno: Pair, stack: Stack, blocks: dict[str, OdooInstance]
) -> None:
    unit, before = f"relevo-archive-{uno.name}.service", _all_of_origin(uno)
    argv = (*_inventory(stack), "run", "replicate", uno.name)
    try:
        with _in_the_inventory(stack):
            block = blocks[uno.name]
            assert block.time_machine
            assert block.time_machine.days == 14
            stack.run(*argv)
            with terminal.without_server():
                wait_until(lambda: archive.look(block).since is not None, "a base backup", 120)
            assert uno.recovery.run("systemctl", "is-enabled", unit).stdout == "enabled\n"
            assert check(block).facts["time machine"].startswith("any second since")
            uno.recovery.kill()
            uno.recovery.boot()  # the unit is there again with the host
            wait_until(uno.is_home, "it follows", 120)
            uno.recovery.wait_until_succeeds("systemctl", "is-active", unit)
        assert blocks[uno.name].time_machine is None
        stack.run(*argv)
        assert uno.recovery.run("systemctl", "is-active", unit, check=False).stdout != "active\n"
        assert check(blocks[uno.name]).facts["time machine"] == "off"
        assert _all_of_origin(uno) ^ before == set()
        no_strangers(uno, time_machine=True)
    finally:
        uno.recovery.run("rm", "-rf", f"/var/lib/relevo/{uno.name}/archive")


def test_another_name_keeps_the_past(
    uno: Pair, kept: OdooInstance, stack: Stack, blocks: dict[str, OdooInstance], tmp_path: Path
) -> None:
    """There and back: what waits is that of the same cluster, under whatever name."""
    _bills(uno)
    time.sleep(1)
    at, since = _now(), _window(kept)
    time.sleep(1)
    uno.at_origin("DROP TABLE bill", DATABASE)
    stack.env.setdefault("RELEVO_LOG_DIR", str(stack.folder / "runs"))
    with _in_the_inventory(stack), stack.unscheduled():
        for old, new in ((uno.name, NEW), (NEW, uno.name)):
            argv = (*_inventory(stack), "rename", old, new, "--yes", "--reason", "drill")
            assert "is renamed to" in stack.run(*argv)
            assert _window(blocks[new]) == since
            backup = tmp_path / f"{new}.zip"
            bring_back(blocks[new], at, DATABASE, backup)
            restored = Restored(uno, backup, "de_entonces")
            try:
                assert uno.at_origin("SELECT count(*) FROM bill", restored.name) == "201"
            finally:
                restored.drop()
        assert uno.recovery.run("ls", "-A", "/var/lib/relevo").stdout.find(".past") < 0
        stack.complete("board/all-instances")
        no_strangers(uno, time_machine=True)


def _window(block: OdooInstance) -> float | None:
    with terminal.without_server():
        return archive.look(block).since


SOME, TIMES = 300, 5  # that Odoo creates or deletes within a client's patience


def test_a_mass_deletion_is_told_and_an_import_is_not(
    uno: Pair, kept: OdooInstance, stack: Stack
) -> None:
    """By a web hook, as whoever is on duty hears of it, without a button pressed."""
    odoo = Odoo(*uno.origin.odoo, DATABASE)
    secrets = stack.folder.parent / "secrets.yaml"
    before, wrong = secrets.read_text(), "rows of res_partner in cliente1 were deleted"
    try:
        with _in_the_inventory(stack), web() as hook:
            notify = {"chat": f"http://127.0.0.1:{hook.port}/hook"}
            secrets.write_text(yaml.safe_dump({**yaml.safe_load(before), "notify": notify}))
            stack.run(*_inventory(stack), "apply")
            made = [
                odoo.call("res.partner", "create", [{"name": f"masa {n}"} for n in range(SOME)])
                for _ in range(TIMES)
            ]
            time.sleep(100)  # more than a look and a run of watch
            assert hook.about(wrong) == []
            since = time.monotonic()
            for ids in made:
                odoo.call("res.partner", "unlink", ids)
            wait_until(lambda: hook.about(wrong), "somebody is told", 180)
            assert time.monotonic() - since < 120
            assert wrong in check(kept).facts["why"]
            time.sleep(70)
            assert len(hook.about(wrong)) == 1
    finally:
        secrets.write_text(before)
        stack.run(*_inventory(stack), "apply", "--prune")
    no_strangers(uno, time_machine=True)


PARTNERS: list[dict[str, Any]] = [
    {"name": "Garcia, Ana", "email": "ana@example.com", "comment": "una\notra línea"},
    {"name": "=HYPERLINK(1)", "email": "garcia@example.com", "active": False},
    {"name": "Garcia hijo", "email": "hijo@example.com"},
]


@pytest.mark.usefixtures("untouched")
def test_chosen_records_come_back_as_a_table_and_odoo_takes_them(
    uno: Pair, kept: OdooInstance, stack: Stack, tmp_path: Path
) -> None:
    """Deleted and changed ones, archived ones too, through Odoo's own import."""
    odoo = Odoo(*uno.origin.odoo, DATABASE)
    ana, archived, son = (int(str(odoo.call("res.partner", "create", each))) for each in PARTNERS)
    time.sleep(1)
    at = _now()
    time.sleep(1)
    odoo.call("res.partner", "write", [ana], {"name": "x", "email": "x"})
    odoo.call("res.partner", "unlink", [son])

    typed = block("docs/undo.md", "Bring some records back", "relevo bring-back")
    table = tmp_path / "garcia.csv"
    names = {
        "NAME": uno.name, "DATABASE": DATABASE, "/root/garcia.csv": str(table),
        "2026-11-24 17:59:30": at.isoformat(),
    }  # fmt: skip
    _typed(stack, typed, names)
    rows = _table(table)
    assert {int(row[".id"]) for row in rows} >= {ana, son}
    (row,) = [row for row in rows if row[".id"] == str(ana)]
    assert (row["name"], row["email"]) == (PARTNERS[0]["name"], PARTNERS[0]["email"])
    assert "otra" in row["comment"]

    by_ids = tmp_path / "ids.csv"
    report = bring_back_records(
        kept, at, DATABASE, "res.partner", by_ids, ids=f"{archived},{son},99999999"
    )
    assert report.facts["ids that were no records then"] == "99999999"
    found = {row[".id"]: row for row in _table(by_ids)}
    assert found[str(archived)]["name"] == "'=HYPERLINK(1)"
    assert found[str(archived)]["active"] == "False"

    back = [[row[".id"], row["name"], row["email"]]]
    assert f"[{ana}]" in str(odoo.call("res.partner", "load", [".id", "name", "email"], back))
    gone = found[str(son)]
    odoo.call("res.partner", "load", ["name", "email"], [[gone["name"], gone["email"]]])
    for each in (PARTNERS[0], PARTNERS[2]):
        asked = f"SELECT name FROM res_partner WHERE email = '{each['email']}'"
        assert uno.at_origin(asked, DATABASE) == each["name"]
    no_strangers(uno, time_machine=True)


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("untouched")
def test_records_that_cannot_be_read_are_refused_and_leave_nothing(
    uno: Pair, kept: OdooInstance, tmp_path: Path
) -> None:
    never, at = tmp_path / "never.csv", _now()
    for model, domain, said in (
        ("no.such.model", "[]", "has no model no.such.model"),
        ("base.module.update", "[]", "keeps no records"),
        ("res.partner", "[('no_such_field', '=', 1)]", "Odoo cannot read res.partner of then"),
        ("res.partner", "[('name', '=', 'nadie se llama así')]", "no record of res.partner was"),
    ):
        with pytest.raises(RelevoError, match=said):
            bring_back_records(kept, at, DATABASE, model, never, domain=domain)
    assert not never.exists()
    no_strangers(uno, time_machine=True)
