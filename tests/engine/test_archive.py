"""The time machine's program on real clusters: any second is brought back, and a gap is named."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks import pinned
from tasks.install import zipapp
from tasks.past.scratch import BRING
from tasks.programs.archive.ledger import Ledger, sign
from tasks.programs.archive.settings import Settings
from tasks.programs.archive.store import signature
from tests.engine.clusters import Server, Twins, program, tools
from tests.lab.machine import wait_until

FACTS = "SELECT name, setting FROM pg_settings WHERE source NOT IN ('session', 'client') ORDER BY 1"
SLOTS = "SELECT slot_name, slot_type FROM pg_replication_slots"
SENDERS = "SELECT application_name, state FROM pg_stat_replication WHERE state = 'streaming'"


class Machine:
    """The program beside a standby, as its owner."""

    def __init__(self, twins: Twins, **more: object) -> None:
        self.twins = twins
        self.folder, self.program = twins.folder / "past", twins.folder / "archive.pyz"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        shutil.chown(self.folder, "postgres", "postgres")
        self.program.write_bytes(zipapp.pack("archive"))
        self.settings = twins.folder / "archive.json"
        self.configure(**more)
        self.keeper: subprocess.Popen[bytes] | None = None
        self.opened: list[Server] = []

    def configure(self, **more: object) -> None:
        version = self.twins.standby.version
        facts: dict[str, object] = {
            "instance": "vps_1", "socket": str(self.twins.standby.socket),
            "port": self.twins.standby.port, "bin": str(tools()), "version": version,
            "options": pinned.superuser(version, seconds=10), "folder": str(self.folder),
            "days": 7, "base_days": 7, "limit_bytes": 10**10, **more,
        }  # fmt: skip
        self.settings.write_text(Settings(**facts).text())  # type: ignore[arg-type]

    def argv(self, verb: str, *words: object) -> list[str]:
        given = ("python3", "-I", self.program, verb, self.settings, *words)
        return ["runuser", "-u", "postgres", "--", *map(str, given)]

    def start(self) -> None:
        with (self.twins.folder / "keeper.log").open("ab") as log:
            self.keeper = subprocess.Popen(
                self.argv("keep"), stdout=log, stderr=log, cwd="/", start_new_session=True
            )

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.keeper:
            os.killpg(self.keeper.pid, number)
            self.keeper.wait()
        self.keeper = None

    def say(self, verb: str, *words: object) -> dict[str, Any]:
        done = subprocess.run(
            self.argv(verb, *words), check=True, capture_output=True, text=True, cwd="/"
        )
        found: dict[str, Any] = json.loads(done.stdout.partition("RELEVO ")[2])
        return found

    def judge(self) -> dict[str, Any]:
        return self.say("judge")

    def wait_for_base(self, bases: int = 1) -> dict[str, Any]:
        wait_until(lambda: self.judge()["bases"] >= bases, f"{bases} base backups", 60)
        return self.judge()

    def open(self, at: float) -> Server:
        """Open the cluster as it was at a moment, as the product does."""
        made = Server(self.twins.folder / f"scratch{len(self.opened)}")
        made.data.mkdir(mode=0o700)
        shutil.chown(made.data, "postgres", "postgres")
        found = self.say("prepare", f"{at:.6f}", made.data)
        assert "refused" not in found, found
        made.configure()
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)) + f"{at % 1:.6f}"[1:]
        auto = made.data / "postgresql.auto.conf"
        settings = {
            "primary_conninfo": "", "recovery_target_timeline": found["timeline"],
            "restore_command": BRING.format(tail=found["tail"], wal=found["wal"]),
            "recovery_target_time": f"{moment}+00", "recovery_target_action": "promote",
        }  # fmt: skip
        auto.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        self.opened.append(made)
        if not _starts(made):
            del settings["recovery_target_time"]
            auto.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
            assert _starts(made), (made.socket / "log").read_text()[-3000:]
        return made

    def segments(self) -> list[Path]:
        return sorted(each for each in (self.folder / "wal").iterdir() if len(each.name) == 24)

    def end(self) -> None:
        self.stop()
        for each in self.opened:
            each.stop("immediate")
            shutil.rmtree(each.folder)


def _starts(made: Server) -> bool:
    begin = [str(tools() / "pg_ctl"), "-D", str(made.data), "-w", "-l", str(made.socket / "log")]
    done = subprocess.run(
        ["runuser", "-u", "postgres", "--", *begin, "start"], check=False, capture_output=True,
        cwd="/",
    )  # fmt: skip
    if done.returncode:
        return False
    asked = "SELECT pg_is_in_recovery()"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if made.sql(asked, "postgres") == [(False,)]:
                return True
        except Exception:  # noqa: BLE001  # it has ended, or is not open yet
            if not (made.data / "postmaster.pid").exists():
                return False
        time.sleep(0.1)
    return False


@pytest.fixture
def machine(twins: Twins) -> Iterator[Machine]:
    program("pg_basebackup")
    made = Machine(twins)
    try:
        made.start()
        made.wait_for_base()
        yield made
    finally:
        made.end()


def switch(twins: Twins, times: int = 1) -> None:
    """Finish some segments, and let both ends forget what they need no more."""
    for _ in range(times):
        twins.primary.sql("CREATE TABLE IF NOT EXISTS filler (a int)")
        twins.primary.sql("INSERT INTO filler VALUES (1)")
        twins.primary.sql("SELECT pg_switch_wal()", "postgres")
    twins.catch_up()


def rows(server: Server, table: str = "bill") -> int:
    return int(str(server.sql(f"SELECT count(*) FROM {table}")[0][0]))


def moment(twins: Twins) -> float:
    """A moment after all that was committed, and before all that will be."""
    time.sleep(0.05)
    at = float(str(twins.primary.sql("SELECT extract(epoch FROM clock_timestamp())")[0][0]))
    time.sleep(0.05)
    return at


def test_a_dropped_table_and_deleted_rows_are_there_as_they_were(
    twins: Twins, machine: Machine
) -> None:
    primary, before = twins.primary, [twins.primary.sql(q) for q in (FACTS, SLOTS, SENDERS)]
    primary.sql("CREATE TABLE bill (n int); INSERT INTO bill SELECT generate_series(1, 201)")
    first = moment(twins)
    primary.sql("DELETE FROM bill WHERE n > 50")
    second = moment(twins)
    switch(twins)
    primary.sql("DROP TABLE bill")
    third = moment(twins)
    twins.catch_up()

    assert rows(machine.open(first)) == 201
    assert rows(machine.open(second)) == 50
    gone = machine.open(third)  # nothing was committed after it
    assert gone.sql("SELECT to_regclass('bill')") == [(None,)]
    assert [primary.sql(q) for q in (FACTS, SLOTS, SENDERS)] == before


def test_what_is_kept_follows_a_promotion(twins: Twins, machine: Machine) -> None:
    primary, standby = twins.primary, twins.standby
    primary.sql("CREATE TABLE bill (n int); INSERT INTO bill SELECT generate_series(1, 10)")
    first = moment(twins)
    twins.catch_up()
    try:
        primary.stop()
        standby.sql("SELECT pg_promote()", "postgres")
        wait_until(lambda: standby.sql("SELECT pg_is_in_recovery()") == [(False,)], "promoted")
        standby.sql("INSERT INTO bill SELECT generate_series(1, 5)")
        time.sleep(0.1)
        second = time.time()
        time.sleep(0.1)
        standby.sql("DELETE FROM bill; SELECT pg_switch_wal()")
        standby.sql("INSERT INTO bill SELECT generate_series(1, 2)")
        found = machine.judge()
        assert (found["reaches_now"], found["gaps"]) == (True, [])
        assert rows(machine.open(first)) == 10
        assert rows(machine.open(second)) == 15
    finally:
        machine.stop()
        standby.stop()
        primary.start()
        twins.seed()


@pytest.mark.parametrize("harm", ["missing", "spoiled"])
def test_a_segment_that_lacks_or_is_spoiled_is_a_gap_with_two_ends(
    twins: Twins, machine: Machine, harm: str
) -> None:
    primary = twins.primary
    primary.sql("CREATE TABLE bill (n int); INSERT INTO bill VALUES (1)")
    before = moment(twins)
    twins.catch_up()
    switch(twins, 24)  # more than both ends keep
    inside = moment(twins)
    switch(twins, 24)
    primary.sql("CHECKPOINT")
    twins.catch_up()
    twins.standby.sql("CHECKPOINT", "postgres")
    there = {each.name for each in (twins.standby.data / "pg_wal").iterdir()}
    machine.stop()
    old = [each for each in machine.segments() if each.name not in there]
    assert len(old) > 5
    victim = old[2]
    if harm == "missing":
        victim.unlink()
    else:
        with victim.open("r+b") as file:
            file.seek(8192 * 3 + 100)
            file.write(b"spoiled")

    found = machine.judge()
    assert not found["reaches_now"]
    assert before < found["until"] < inside
    assert found["spoiled"] == [victim.name]
    refused = machine.say("prepare", f"{inside:.6f}", "/nowhere")
    assert refused["refused"] == "gap"
    assert rows(machine.open(before)) == 1

    machine.start()  # a base backup begins anew
    wait_until(lambda: machine.judge()["reaches_now"], "it goes on", 60)
    found = machine.judge()
    ((begin, end),) = found["gaps"]
    assert before < begin < inside < end
    assert machine.say("prepare", f"{inside:.6f}", "/nowhere")["refused"] == "gap"
    assert rows(machine.open(moment(twins))) == 1


def test_a_base_backup_that_is_spoiled_is_used_no_more(twins: Twins, machine: Machine) -> None:
    program("pg_verifybackup")
    before = moment(twins)
    machine.stop()
    (victim,) = (machine.folder / "base").glob("*/PG_VERSION")
    victim.write_text("99\n")
    found = machine.judge()
    assert found["spoiled"] == [f"base/{victim.parent.name}"]
    assert found["since"] is None
    assert machine.say("prepare", f"{before:.6f}", "/nowhere")["refused"] == "gap"
    machine.start()
    found = machine.wait_for_base()
    assert found["reaches_now"]
    at = moment(twins)
    assert rows(machine.open(at), "ir_attachment") == 0


def test_a_keeper_that_was_killed_goes_on(twins: Twins, machine: Machine) -> None:
    machine.stop(signal.SIGKILL)
    switch(twins, 3)
    machine.start()
    twins.primary.sql("CREATE TABLE bill (n int)")
    at = moment(twins)
    twins.catch_up()
    wait_until(lambda: not machine.judge()["gaps"], "no gap", 10)
    assert machine.judge()["reaches_now"]
    assert rows(machine.open(at)) == 0


def test_a_past_that_has_changed_hands_is_whole_and_is_not_read_again(
    twins: Twins, machine: Machine
) -> None:
    switch(twins, 3)
    wait_until(lambda: len(machine.segments()) > 2, "segments are copied", 30)
    machine.stop()
    for path in machine.folder.rglob("*"):
        shutil.chown(path, "root", "root")
        shutil.chown(path, "postgres", "postgres")
    ledger, store = Ledger(str(machine.folder)), machine.folder / "wal"
    before = {name: known for name, (_, _, known) in ledger.segments().items()}
    assert not any(sign(str(store / name)) == known for name, known in before.items())

    subprocess.run(machine.argv("renew"), check=True, cwd="/")

    for name, (_, _, known) in ledger.segments().items():
        assert sign(str(store / name)) == known
    ((base, known),) = ledger.bases()
    assert signature(str(machine.folder / "base" / base.label))[0] == known
    ledger.close()
    found = machine.judge()
    assert (found["spoiled"], found["reaches_now"]) == ([], True)


def seen_by(machine: Machine) -> list[dict[str, Any]]:
    path = machine.folder / "mass.json"
    found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return found


def test_mass_changes_are_seen_and_what_is_daily_work_is_not(
    twins: Twins, machine: Machine
) -> None:
    """An import, an update of all rows and a deletion that is taken back are daily work."""
    primary = twins.primary
    machine.stop()
    machine.configure(alarm_rows=1000, alarm_share=0.2)
    primary.sql("CREATE TABLE bill (n int, said text)")
    primary.sql("CREATE TABLE ledger AS SELECT n, repeat('x', 900) FROM generate_series(1, 9000) n")
    twins.catch_up()
    machine.start()
    time.sleep(3)  # its first look
    primary.sql("INSERT INTO bill SELECT n, repeat('x', 50) FROM generate_series(1, 10000) n")
    primary.sql("UPDATE bill SET said = said || 'y'")
    primary.sql("DELETE FROM bill WHERE n <= 900")
    primary.sql("BEGIN; DELETE FROM bill; ROLLBACK")
    twins.catch_up()
    time.sleep(20)  # two looks
    assert seen_by(machine) == []

    primary.sql("BEGIN; SAVEPOINT a; DELETE FROM bill WHERE n <= 5000; RELEASE a; COMMIT")
    twins.catch_up()
    wait_until(lambda: seen_by(machine), "it is seen", 30)
    (deleted,) = seen_by(machine)
    assert (deleted["kind"], deleted["rows"]) == ("deleted", 5000)
    assert 0.2 < deleted["share"] <= 1
    asked = f"SELECT relname FROM pg_class WHERE pg_relation_filenode(oid) = {deleted['file']}"
    assert twins.standby.sql(asked) == [("bill",)]

    primary.sql("DROP TABLE ledger")
    primary.sql("CHECKPOINT")
    twins.catch_up()
    wait_until(lambda: len(seen_by(machine)) > 1, "it is seen", 90)
    assert seen_by(machine)[1]["kind"] == "shrank"


def test_more_than_the_bytes_is_never_kept(twins: Twins, machine: Machine) -> None:
    machine.stop()
    size = sum(f.stat().st_size for f in (machine.folder / "base").rglob("*") if f.is_file())
    limit = 4 * size
    machine.configure(limit_bytes=limit)
    machine.start()
    for _ in range(limit // (16 << 20) + 6):
        switch(twins, 1)
        time.sleep(0.6)
        taken = sum(f.stat().st_size for f in machine.folder.rglob("*") if f.is_file())
        assert taken < limit + (16 << 20) + size  # one segment, and a base that is being taken
    found = machine.judge()
    assert found["bytes"] <= limit
    assert found["reaches_now"]
