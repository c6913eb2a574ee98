"""Follow mode: seconds behind, patient with an origin that is away, and off when promoted."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.programs.filestore.follow import Condition, Follower, Followers
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
