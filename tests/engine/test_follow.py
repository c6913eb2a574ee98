"""Follow mode: seconds behind, patient with an origin that is away, and off when promoted."""

import contextlib
import hashlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.programs.filestore.follow import Condition, Follower, Followers
from tasks.programs.filestore.state import State
from tests.engine.clusters import Twins, as_postgres, tools
from tests.lab.machine import wait_until


@pytest.fixture
def follower(twins: Twins) -> Iterator[Follower]:
    """A follower whose connection to the origin can be cut."""
    (twins.folder / "cut").unlink(missing_ok=True)
    cable = f'[ ! -e "{twins.folder}/cut" ] && exec "$@"; echo "no route to host" >&2; exit 255'
    made = Follower(twins.settings(channel=("sh", "-c", cable, "ssh", *twins.gate())))
    made.start()
    wait_until(lambda: made.condition.scans > 0, "the first scan")
    yield made
    made.stop()


def _all_here(twins: Twins, names: list[str]) -> bool:
    return all(map(twins.has, names))


def test_a_new_document_is_here_at_once(twins: Twins, follower: Follower) -> None:
    names = twins.attach(b"fresh", b"and another")
    wait_until(lambda: _all_here(twins, names), "the files are here", 180)
    assert follower.condition.state == "following"


def test_a_cut_cable_is_waited_out_and_what_came_meanwhile_is_fetched(
    twins: Twins, follower: Follower
) -> None:
    before = twins.attach(b"before")
    wait_until(lambda: _all_here(twins, before), "it is connected", 180)
    (twins.folder / "cut").touch()
    ways = (follower.engine.origin, follower.engine.fetcher.newest)
    open_ones = [way.process for way in ways if way.process is not None]
    assert open_ones
    for process in open_ones:
        process.kill()
    names = twins.attach(b"while away")
    said = "uno does not answer: no route to host"
    wait_until(lambda: follower.condition.said == said, "the origin is away", 180)
    assert follower.condition.state == "away"
    (twins.folder / "cut").unlink()
    wait_until(lambda: _all_here(twins, names), "the files are here", 180)
    wait_until(lambda: follower.condition.state == "following", "it follows again", 180)


def test_a_row_that_the_fast_look_cannot_see_is_found_by_the_proof(
    twins: Twins, follower: Follower
) -> None:
    """Rows commit late and far behind the newest id."""
    with twins.primary.connect() as late:
        name, size = twins.store(b"late")
        late.execute("BEGIN")
        late.execute(
            "INSERT INTO ir_attachment (store_fname, file_size) VALUES (%s, %s)", (name, size)
        )
        twins.primary.sql(
            "INSERT INTO ir_attachment (name) SELECT 'x' FROM generate_series(1, 2000)"
        )
        late.execute("COMMIT")
    wait_until(lambda: twins.has(name), "the proof has found it", 180)
    assert follower.condition.state == "following"


@contextlib.contextmanager
def _followed(twins: Twins, *more: Path) -> Iterator[Followers]:
    """Follow as the unit does: what has ended is started again."""
    settings = twins.folder / "settings"
    settings.mkdir(exist_ok=True)
    for path in settings.iterdir():
        path.unlink()
    (settings / "vps_1.json").write_text(twins.settings().text())
    for path in more:
        (settings / path.name).write_bytes(path.read_bytes())
    ended = threading.Event()
    followers = Followers(f"{settings}/*.json", lambda _: None)
    thread = threading.Thread(target=followers.run, args=(ended,), daemon=True)
    thread.start()
    try:
        yield followers
    finally:
        ended.set()
        thread.join(timeout=60)


def _state(followers: Followers) -> str:
    return next((each.state for each in followers.conditions if each.instance == "vps_1"), "")


def test_a_follower_whose_knowledge_a_pass_has_put_aside_begins_anew(twins: Twins) -> None:
    state = twins.folder / "recovery" / "work" / "state.sqlite"
    with _followed(twins) as followers:
        wait_until(lambda: _state(followers) == "following", "it follows", 180)
        (_, first) = next(iter(followers.running.values()))
        with first.engine.state.lock:
            first.engine.state.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            state.write_bytes(b"not a database at all" * 1000)
            State(str(state)).close()
        names = twins.attach(b"after that")
        wait_until(lambda: _begun(followers) not in {None, first}, "it begins anew", 180)
        second = _begun(followers)
        assert second is not None
        wait_until(lambda: second.condition.proved > 0, "it has proved it", 180)
        wait_until(lambda: _all_here(twins, names), "the file is here", 180)
        assert second.engine.state.watermark("shop") is not None
    assert state.with_name("state.sqlite.spoiled").exists()


def _begun(followers: Followers) -> Follower | None:
    return next((follower for _, follower in followers.running.values()), None)


def test_a_full_disk_and_torn_settings_of_another_are_said_and_pass(
    twins: Twins, tmp_path: Path
) -> None:
    work = twins.folder / "recovery" / "work"
    work.mkdir(parents=True)
    torn = tmp_path / "torn.json"
    torn.write_text(twins.settings().text()[:80])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(work)], check=True)
    try:
        with _followed(twins, torn) as followers:
            wait_until(lambda: _state(followers) == "following", "it follows", 180)
            filler = work / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            names = twins.attach(*(f"{n}".encode() for n in range(20)))
            wait_until(lambda: _state(followers) == "failing", "it says so", 180)
            filler.unlink()
            wait_until(lambda: _all_here(twins, names), "the files are here", 180)
            wait_until(lambda: _state(followers) == "following", "it follows again", 180)
            assert [each.state for each in followers.conditions].count("failing") == 1
            assert "cannot be read" in next(iter(followers.broken.values())).condition.said
    finally:
        subprocess.run(["umount", str(work)], check=True)


def test_a_database_that_answers_nothing_of_use_keeps_no_other_from_the_fast_look(
    twins: Twins, follower: Follower
) -> None:
    twins.create("early")
    twins.attach(b"theirs", database="early")
    wait_until(lambda: twins.has(_name(b"theirs"), "early"), "both are followed", 180)
    twins.primary.sql("ALTER TABLE ir_attachment OWNER TO postgres", "early")
    wait_until(lambda: "early: " in follower.condition.said, "it is said", 180)
    assert "permission denied for table ir_attachment" in follower.condition.said
    names = twins.attach(b"in the other")
    wait_until(lambda: _all_here(twins, names), "the file is here", 180)
    twins.primary.sql("ALTER TABLE ir_attachment OWNER TO odoo", "early")
    wait_until(lambda: follower.condition.state == "following", "all is well again", 180)


def _name(content: bytes) -> str:
    digest = hashlib.sha1(content).hexdigest()
    return f"{digest[:2]}/{digest}"


def test_a_promoted_standby_is_not_followed_any_more(twins: Twins, tmp_path: Path) -> None:
    settings = tmp_path / "filestore.json"
    settings.write_text(twins.settings().text())
    said: list[list[Condition]] = []
    ended = threading.Event()
    followers = Followers(f"{tmp_path}/*.json", said.append)
    thread = threading.Thread(target=followers.run, args=(ended,), daemon=True)
    thread.start()
    try:
        wait_until(lambda: bool(followers.running), "the settings are found")
        (_, follower) = next(iter(followers.running.values()))
        wait_until(lambda: follower.condition.state == "following", "it follows")
        as_postgres(tools() / "pg_ctl", "-D", twins.standby.data, "-w", "promote")
        wait_until(lambda: follower.condition.state == "promoted", "it has noticed", 180)
        sessions = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'relevo filestore' "
            "AND datname = 'shop'"
        )
        wait_until(
            lambda: twins.standby.sql(sessions, "postgres") == [(0,)], "no session is left", 20
        )
        wait_until(lambda: said[-1][0].state == "promoted", "it has said so", 180)
    finally:
        ended.set()
        thread.join(timeout=30)
        twins.seed()
