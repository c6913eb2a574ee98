"""Files follow the rows that name them, whatever the source looks like."""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.programs.filestore import decide
from tasks.programs.filestore.__main__ import main
from tasks.programs.filestore.care import Care
from tasks.programs.filestore.engine import Engine
from tasks.programs.filestore.origin import Origin
from tasks.programs.filestore.trouble import ClusterAway, OriginAway, Refusal
from tasks.programs.filestore.verdict import verdicts
from tasks.programs.filestore.wire import Cluster
from tests.engine.clusters import TABLE, Twins

CLOSED = "writing is open only while a repair or a failback runs"


def test_the_first_pass_brings_all_and_the_next_what_is_new(twins: Twins) -> None:
    old = twins.attach(b"one", b"two", b"two", b"")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert all(map(twins.has, old))
        new = twins.attach(os.urandom(3_000_000), b"four")
        twins.catch_up()
        assert engine.scan("shop") <= 3
        assert all(map(twins.has, new))
        assert engine.state.count() == 0
        verdict = verdicts(engine)[-1]
        assert (verdict.rows, verdict.missing, verdict.wrong) == (6, 0, 0)
        assert verdict.agreed_lsn == verdict.read_lsn != ""


def test_the_newest_rows_come_at_once_without_a_scan(twins: Twins) -> None:
    with twins.engine() as engine:
        engine.sweep()
        names = twins.attach(b"fresh")
        twins.catch_up()
        assert engine.tail("shop") == 1
        assert engine.tail("shop") == 0
        assert all(map(twins.has, names))


def test_a_table_that_is_rewritten_meanwhile_is_not_taken_for_an_empty_one(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    with twins.engine() as engine:
        engine.sweep()
        names = twins.attach(b"fresh")
        twins.catch_up()
        take_snapshot = engine.head

        def then_rewrite(cluster: Cluster, database: str) -> decide.Head:
            head = take_snapshot(cluster, database)
            twins.primary.sql("ALTER TABLE ir_attachment ALTER COLUMN res_id TYPE bigint")
            twins.catch_up_or_wait_for_a_lock()
            return head

        monkeypatch.setattr(engine, "head", then_rewrite)
        with contextlib.suppress(ClusterAway):
            engine.scan("shop")
            assert all(map(twins.has, names))
        monkeypatch.undo()
        twins.catch_up()
        engine.scan("shop")
        assert all(map(twins.has, names))


def test_nothing_is_asked_of_the_origin_when_nothing_changed(twins: Twins) -> None:
    twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
    with twins.engine(channel=("false",)) as engine:
        assert engine.sweep() == []


def test_names_that_are_no_files_of_the_filestore_are_left_alone(twins: Twins) -> None:
    twins.primary.sql(
        "INSERT INTO ir_attachment (store_fname, file_size) VALUES (NULL, 5), "
        f"('s3://bucket/key', 5), ('../{20 * 'ab'}', 5), ('{'x' * 43}', 5), ('', 0)"
    )
    names = twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert engine.state.count() == 0
    assert all(map(twins.has, names))


def test_a_truncated_source_is_never_admitted_and_is_reported_by_name(twins: Twins) -> None:
    (name,) = twins.attach(b"whole content")
    (twins.theirs / "shop" / name).write_bytes(b"whole")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert not (twins.ours / "shop" / name).exists()
        verdict = verdicts(engine)[-1]
        assert (verdict.missing, verdict.wrong, verdict.agreed_lsn) == (0, 1, "")
        (loss,) = verdict.losses
        assert (loss.name, loss.record, loss.author) == ("document 13", "res.partner,1", "Ana")
        assert "5 bytes at the origin have another checksum" in loss.why


def test_a_good_copy_is_never_replaced_and_repairs_the_origin(twins: Twins) -> None:
    names = twins.attach(*(os.urandom(100) for _ in range(9)), b"whole content")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        source = twins.theirs / "shop" / names[-1]
        source.write_bytes(b"")
        cared = Care(engine).reconcile(repair=True, accept_deletions=False)
        assert cared.origin_wrong == [f"shop/{names[-1]}"]
        assert list(cared.unrepaired.values()) == [CLOSED]
        twins.open("repair")
        (twins.theirs / "shop" / names[0]).unlink()
        cared = Care(engine).reconcile(repair=True, accept_deletions=False)
        assert (cared.repaired, cared.unrepaired) == (2, {})
    assert source.read_bytes() == b"whole content"
    assert (twins.theirs / "shop" / names[0]).exists()
    assert [p.read_bytes() for p in twins.quarantine.rglob(source.name)] == [b""]
    assert all(map(twins.has, names))


def test_an_emptied_origin_is_refused_and_nothing_is_deleted(twins: Twins) -> None:
    names = twins.attach(b"one", b"two")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.theirs.rename(twins.data / "unmounted")
        twins.theirs.mkdir()
        twins.open("repair")
        with pytest.raises(Refusal, match="2 of 2 files of vps_1 are gone or spoiled at uno"):
            Care(engine).reconcile(repair=True, accept_deletions=False)
    assert all(map(twins.has, names))
    assert list(twins.theirs.iterdir()) == []


def test_what_no_row_names_waits_for_the_grace_time_and_goes_to_the_trash(twins: Twins) -> None:
    names = twins.attach(b"one", b"two", b"three")
    twins.catch_up()
    with twins.engine(grace_seconds=3600.0) as engine:
        engine.sweep()
        twins.primary.sql(f"DELETE FROM ir_attachment WHERE store_fname = '{names[0]}'")
        (twins.theirs / "shop" / names[0]).unlink()
        twins.catch_up()
        assert Care(engine).reconcile(repair=False, accept_deletions=False).trashed == 0
        assert all(map(twins.has, names))
    with twins.engine() as engine:
        assert Care(engine).reconcile(repair=False, accept_deletions=False).trashed == 1
        assert [twins.has(name) for name in names] == [False, True, True]
        day = engine.store.days()[0]
        assert Care(engine).restore(day, "") == 1
        assert all(map(twins.has, names))


def test_a_row_that_comes_back_takes_its_file_out_of_the_trash(twins: Twins) -> None:
    names = twins.attach(b"one", b"two", b"three")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.primary.sql(f"DELETE FROM ir_attachment WHERE store_fname = '{names[0]}'")
        twins.catch_up()
        Care(engine).reconcile(repair=False, accept_deletions=False)
        assert not twins.has(names[0])
        twins.attach(b"one")
        (twins.theirs / "shop" / names[0]).unlink()
        twins.catch_up()
        engine.sweep()
    assert twins.has(names[0])


def test_a_mass_deletion_is_refused_until_it_is_accepted(twins: Twins) -> None:
    names = twins.attach(*(f"{n}".encode() for n in range(10)))
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.primary.sql("DELETE FROM ir_attachment WHERE id > 4")
        twins.catch_up()
        with pytest.raises(Refusal, match="6 of 10 files of vps_1 are named by no row"):
            Care(engine).reconcile(repair=False, accept_deletions=False)
        assert all(map(twins.has, names))
        assert Care(engine).reconcile(repair=False, accept_deletions=True).trashed == 6


def test_the_files_of_a_dropped_database_go_to_the_trash_as_any_others(twins: Twins) -> None:
    twins.create("other")
    twins.attach(b"theirs", database="other")
    names = twins.attach(b"one", b"two")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.primary.drop("other")
        twins.catch_up()
        assert Care(engine).reconcile(repair=False, accept_deletions=False).trashed == 1
    assert not (twins.ours / "other").exists()
    assert list((twins.folder / "recovery" / "trash").rglob("*/other/*/*")) != []
    assert all(map(twins.has, names))


def test_another_database_with_the_same_content_costs_the_link_nothing(twins: Twins) -> None:
    names = twins.attach(b"one", b"two")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.create("copy", template="shop")
        twins.catch_up()
    with twins.engine(channel=("false",)) as engine:
        assert engine.sweep() == []
    assert all(twins.has(name, "copy") for name in names)


def test_a_file_that_the_collector_took_is_wanted_no_more(twins: Twins) -> None:
    (name,) = twins.attach(b"short-lived")
    (twins.theirs / "shop" / name).unlink()
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert [each.state for each in engine.state.pending()] == [decide.ABSENT]
        twins.primary.sql("DELETE FROM ir_attachment")
        twins.catch_up()
        engine.sweep()
        assert engine.state.pending() == []


def test_a_file_that_a_row_still_names_after_a_later_commit_is_lost(twins: Twins) -> None:
    (name,) = twins.attach(b"gone")
    (twins.theirs / "shop" / name).unlink()
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.primary.sql("UPDATE ir_attachment SET name = 'renamed'")
        twins.catch_up()
        engine.sweep()
        engine.scan("shop")
        (loss,) = verdicts(engine)[-1].losses
        assert loss.name == "renamed"
        assert [each.state for each in engine.state.pending()] == [decide.LOST]
        twins.store(b"gone")
        engine.fetcher.pending()
        assert engine.state.pending() == []
    assert twins.has(name)


def test_a_connection_that_is_cut_in_the_middle_of_a_file_leaves_what_is_whole(
    twins: Twins,
) -> None:
    twins.attach(*(os.urandom(200_000) for _ in range(5)))
    twins.catch_up()
    cut = ("sh", "-c", f"{' '.join(twins.gate()[:3])} 'relevo files' | head -c 500000")
    with twins.engine(channel=cut) as engine:
        with pytest.raises(OriginAway, match="uno does not answer"):
            engine.sweep()
        assert engine.state.count() == 3
    assert twins.wrong() == []
    with twins.engine() as engine:
        engine.sweep()
        assert engine.state.count() == 0
    assert len([p for p in twins.ours.rglob("*") if p.is_file()]) == 5


def test_a_standby_that_was_promoted_is_left_alone(twins: Twins) -> None:
    socket, port = str(twins.primary.socket), twins.primary.port
    with (
        twins.engine(socket=socket, port=port) as engine,
        pytest.raises(Refusal, match="accepts writes"),
    ):
        engine.sweep()


def test_a_serving_side_gives_the_origin_what_it_lacks_and_keeps_what_it_alone_had(
    twins: Twins,
) -> None:
    names = twins.attach(b"one", b"two")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
    alone, _ = twins.store(b"only the origin's")
    (twins.theirs / "shop" / names[0]).unlink()
    twins.open("failback")
    with twins.engine(serving=True) as engine:
        assert Care(engine).push() == {"given": 1, "kept_aside": 1, "refused": {}, "unread": []}
        assert Care(engine).push() == {"given": 0, "kept_aside": 0, "refused": {}, "unread": []}
    assert (twins.theirs / "shop" / names[0]).read_bytes() == b"one"
    assert [p.read_bytes() for p in twins.quarantine.rglob(alone[3:])] == [b"only the origin's"]


def test_a_spoiled_copy_is_found_by_the_scrub_and_fetched_anew(twins: Twins) -> None:
    names = twins.attach(b"one", b"two")
    twins.catch_up()
    with twins.engine(scrub_days=1) as engine:
        engine.sweep()
        engine.state.note("scrub", f"[0, {time.time() - 86400}]")
        (twins.ours / "shop" / names[0]).write_bytes(b"owt")
        cared = Care(engine).reconcile(repair=False, accept_deletions=False)
        assert (cared.scrubbed, cared.spoiled) == (2, 1)
    assert all(map(twins.has, names))


def test_a_state_that_is_spoiled_means_that_everything_is_compared(twins: Twins) -> None:
    names = twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
    state = Path(twins.settings().work) / "state.sqlite"
    state.write_bytes(b"not a database at all" * 100)
    (twins.ours / "shop" / names[0]).unlink()
    with twins.engine() as engine:
        engine.sweep()
    assert all(map(twins.has, names))


def test_a_link_at_the_origin_is_not_followed(twins: Twins) -> None:
    (name,) = twins.attach(b"one")
    path = twins.theirs / "shop" / name
    path.rename(twins.folder / "elsewhere")
    path.symlink_to(twins.folder / "elsewhere")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert [each.state for each in engine.state.pending()] == [decide.BAD]
    origin = Origin(twins.gate(), "uno")
    answers: list[bytes] = []
    origin.get(
        ["shop/../../etc/passwd", f"../x/ab/{20 * 'ab'}"],
        lambda _, answer: answers.append(answer.kind + answer.text()),
    )
    origin.close()
    assert answers == [b"!it is not the name of a file"] * 2


def test_a_database_whose_name_has_a_space_is_followed_and_given_back(twins: Twins) -> None:
    """Odoo's own page makes none, but createdb does."""
    twins.create("Cliente Uno")
    names = twins.attach(b"one", b"two", database="Cliente Uno")
    twins.catch_up()
    with twins.engine() as engine:
        assert engine.sweep() == []
        assert engine.tail("Cliente Uno") == 0
        assert Care(engine).reconcile(repair=False, accept_deletions=False).origin_lacks == []
    assert all(twins.has(name, "Cliente Uno") for name in names)
    alone, _ = twins.store(b"only the origin's", "Cliente Uno")
    (twins.theirs / "Cliente Uno" / names[0]).unlink()
    twins.open("failback")
    with twins.engine(serving=True) as engine:
        assert Care(engine).push() == {"given": 1, "kept_aside": 1, "refused": {}, "unread": []}
    assert (twins.theirs / "Cliente Uno" / names[0]).read_bytes() == b"one"
    assert not (twins.theirs / "Cliente Uno" / alone).exists()


@pytest.mark.parametrize(
    ("database", "keep_out", "why"),
    [
        (
            "shut",
            "ALTER DATABASE shut OWNER TO odoo; REVOKE CONNECT ON DATABASE shut FROM PUBLIC, odoo",
            "role odoo may not connect to it",
        ),
        ("shut", "ALTER DATABASE shut ALLOW_CONNECTIONS false", "it allows no connections"),
        (".hidden", "SELECT 1", "its name can be no folder of the filestore"),
        ("a/b", "SELECT 1", "its name can be no folder of the filestore"),
    ],
)
def test_a_database_that_is_not_read_is_named_with_the_reason(
    twins: Twins, database: str, keep_out: str, why: str
) -> None:
    twins.primary.sql(f'CREATE DATABASE "{database}"', "postgres")
    twins.primary.sql(keep_out, "postgres")
    names = twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        assert engine.sweep() == [f"{database}: {why}"]
        assert {each.database: each.unread for each in verdicts(engine) if each.unread} == {
            database: why
        }
        cared = Care(engine).reconcile(repair=False, accept_deletions=False)
        assert cared.unread == [f"{database}: {why}"]
    with twins.engine(serving=True) as engine:
        assert Care(engine).push()["unread"] == [f"{database}: {why}"]
    assert all(map(twins.has, names))


DENIED = r"permission denied for table ir_attachment \(42501\)"


@pytest.mark.parametrize(
    ("keep_out", "why"),
    [
        ("SELECT 1", f"{DENIED}, and it belongs to postgres"),  # CONNECT is everybody's by default
        (
            "REVOKE CONNECT ON DATABASE another FROM PUBLIC",
            "role odoo may not connect to it, and it belongs to postgres",
        ),
    ],
    ids=["may-enter", "may-not-enter"],
)
def test_a_second_odoo_s_database_which_ours_may_not_read_is_named_and_stops_nothing(
    twins: Twins, keep_out: str, why: str
) -> None:
    twins.primary.sql("CREATE DATABASE another", "postgres")
    twins.primary.sql(TABLE, "another")
    twins.primary.sql(keep_out, "postgres")
    names = twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        assert engine.sweep() == []
        (said,) = engine.databases.foreign()
        assert re.search(f"^another: .*{why}$", said)
        assert [each.database for each in verdicts(engine) if each.foreign] == ["another"]
        cared = Care(engine).reconcile(repair=False, accept_deletions=False)
        assert (cared.unread, cared.foreign) == ([], [said])
        assert (cared.rows, cared.files) == (1, 1)
    with twins.engine(serving=True) as engine:
        assert Care(engine).push()["unread"] == []
    assert all(map(twins.has, names))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("ALTER TABLE ir_attachment OWNER TO postgres", DENIED),
        (
            "ALTER TABLE ir_attachment ALTER COLUMN file_size TYPE text USING 'senseless'",
            "ValueError: invalid literal for int",
        ),
        ("ALTER TABLE ir_attachment DROP COLUMN file_size", "file_size.* does not exist"),
    ],
    ids=["not-readable", "senseless", "another-table"],
)
def test_a_database_of_ours_that_answers_nothing_of_use_stops_no_others(
    twins: Twins, spoil: str, said: str
) -> None:
    twins.create("early")
    twins.attach(b"theirs", database="early")
    twins.catch_up()
    with twins.engine() as engine:
        assert engine.sweep() == []
        twins.primary.sql(spoil, "early")
        twins.primary.sql("UPDATE ir_attachment SET name = 'touched'", "early")
        names = twins.attach(b"one")
        twins.catch_up()
        (unread,) = engine.sweep()
        assert re.search(f"^early: .*{said}", unread)
        assert all(map(twins.has, names))


def test_rows_of_another_storage_are_counted_with_its_name(twins: Twins) -> None:
    twins.primary.sql(
        "INSERT INTO ir_attachment (store_fname, file_size) "
        "SELECT 's3://bucket/' || n, 5 FROM generate_series(1, 5000) n"
    )
    twins.primary.sql(f"INSERT INTO ir_attachment (store_fname) VALUES ('a://{39 * 'b'}')")
    twins.primary.sql("INSERT INTO ir_attachment (name) VALUES ('in the database itself')")
    names = twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        verdict = verdicts(engine)[-1]
        assert (verdict.rows, verdict.elsewhere, verdict.storage) == (1, 5001, "a")
    assert all(map(twins.has, names))


def test_a_database_is_known_from_when_it_was_first_seen_and_anew_when_it_is_renamed(
    twins: Twins,
) -> None:
    twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        before = verdicts(engine)[-1]
        time.sleep(1.1)
        assert verdicts(engine)[-1].known_seconds > 1
        assert before.agreed_lsn
        twins.primary.sql("ALTER DATABASE shop RENAME TO store", "postgres")
        twins.catch_up()
        verdict = verdicts(engine)[-1]
        assert (verdict.database, verdict.agreed_lsn) == ("store", "")
        assert verdict.known_seconds < 1


def test_a_database_that_is_made_anew_was_never_seen_whole(twins: Twins) -> None:
    twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert verdicts(engine)[-1].agreed_lsn
        twins.primary.drop("shop")
        twins.create("shop")
        twins.attach(b"gone at once")
        for path in twins.theirs.rglob("*"):
            if path.is_file():
                path.unlink()
        twins.catch_up()
        verdict = verdicts(engine)[-1]
        assert (verdict.rows, verdict.agreed_lsn) == (1, "")
        engine.sweep()
        assert verdicts(engine)[-1].agreed_lsn == ""


def test_what_was_wanted_for_a_database_is_kept_while_nobody_may_read_it(twins: Twins) -> None:
    (name,) = twins.attach(b"one")
    (twins.theirs / "shop" / name).unlink()
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.primary.sql("ALTER DATABASE shop ALLOW_CONNECTIONS false", "postgres")
        twins.catch_up()
        engine.sweep()
        assert [each.key.name for each in engine.state.pending("shop")] == [name]
        assert verdicts(engine)[-1].missing == 1


def test_a_database_that_is_cancelled_once_is_read_by_the_same_pass(
    twins: Twins, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = twins.attach(b"one")
    twins.catch_up()
    path = twins.folder / "recovery" / "settings.json"
    path.write_text(twins.settings().text())
    cancelled = list[str]()
    scan = Engine.scan

    def cancelled_first(engine: Engine, database: str, cluster: Cluster | None = None) -> int:
        if database == "shop" and not cancelled:
            cancelled.append(database)
            raise ClusterAway("canceling statement due to conflict with recovery")
        return scan(engine, database, cluster)

    monkeypatch.setattr(Engine, "scan", cancelled_first)
    assert main(["pass", str(path)]) == 0
    assert '"unread": []' in capsys.readouterr().out
    assert all(map(twins.has, names))


def test_a_database_that_was_never_read_has_rows_and_was_never_seen_whole(twins: Twins) -> None:
    twins.attach(b"one")
    twins.catch_up()
    with twins.engine() as engine:
        verdict = verdicts(engine)[-1]
        assert (verdict.database, verdict.rows, verdict.agreed_lsn) == ("shop", 1, "")


@pytest.fixture
def disk(twins: Twins) -> Iterator[Callable[[Path], None]]:
    """Mount a file system of its own on a folder."""
    mounted = list[Path]()

    def mount(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
        mounted.append(folder)

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("mounted", ["theirs", "quarantine"])
def test_a_failback_ends_where_the_origin_s_files_are_on_a_disk_of_their_own(
    twins: Twins, disk: Callable[[Path], None], mounted: str
) -> None:
    disk(getattr(twins, mounted))
    names = twins.attach(b"one", b"two")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
    alone, _ = twins.store(b"only the origin's")
    (twins.theirs / "shop" / names[0]).write_bytes(b"spoiled")
    (twins.theirs / "shop" / names[1]).unlink()
    twins.open("failback")
    with twins.engine(serving=True) as engine:
        assert Care(engine).push() == {"given": 2, "kept_aside": 1, "refused": {}, "unread": []}
    assert not (twins.theirs / "shop" / alone).exists()
    kept = {path.read_bytes() for path in twins.quarantine.rglob("*") if path.is_file()}
    assert kept == {b"only the origin's", b"spoiled"}
    assert list(twins.data.rglob("*.relevo-part")) == []
    assert (twins.theirs / "shop" / names[1]).read_bytes() == b"two"


@pytest.mark.parametrize("mounted", ["filestore", "trash"])
def test_the_recovery_host_s_files_and_its_trash_may_lie_on_two_disks(
    twins: Twins, disk: Callable[[Path], None], mounted: str
) -> None:
    disk(twins.folder / "recovery" / mounted)
    names = twins.attach(b"one", b"two", b"three")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert all(map(twins.has, names))
        twins.primary.sql(f"DELETE FROM ir_attachment WHERE store_fname = '{names[0]}'")
        twins.catch_up()
        assert Care(engine).reconcile(repair=False, accept_deletions=False).trashed == 1
        assert not twins.has(names[0])
        assert Care(engine).restore(engine.store.days()[0], "") == 1
    assert all(map(twins.has, names))
    assert twins.wrong() == []
