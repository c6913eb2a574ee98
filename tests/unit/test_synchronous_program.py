"""The program that lets commits wait, at the origin without Relevo: what it does, and when."""

import getpass
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tasks.programs.synchronous.keeper import Keeper
from tasks.programs.synchronous.session import END, Session
from tasks.records.commits import parse

NAMES = 'FIRST 1 ("vps_1")'
CONFIG = {
    "instance": "vps_1", "role": "replica_user", "names": NAMES, "text": "names\n", "psql": [],
    "owner": getpass.getuser(),
}  # fmt: skip


class Origin(Session):
    """A PostgreSQL that believes what it is told, and notes in which order."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__([])
        self.keeper, self.asked = keeper, list[str]()
        self.broken = False
        self.facts: dict[str, Any] = {
            "leads": True, "names": "", "now": 1000.0, "written": 50, "has": 50, "sync": True,
            "idle": True, "timeline": "00000003", "word": None, "weak": 0,
        }  # fmt: skip

    def ask(self, sql: str) -> str | None:
        if sql.startswith("COMMENT"):
            if self.broken:
                return None
            self.facts["word"] = sql.split(" IS ", 1)[1].strip("'")
            word = json.loads(self.facts["word"])
            self.asked.append("waits" if word["waits"] else "goes on")
        elif "pg_reload_conf" in sql:
            self.facts["names"] = NAMES if self.keeper.conf.exists() else ""
            self.asked.append("on" if self.facts["names"] else "off")
        return ""

    def live(self, seconds: int, **facts: object) -> list[str]:
        """Let time pass, and say what was done meanwhile."""
        self.asked.clear()
        self.facts.update(facts)
        for _ in range(seconds):
            self.now = getattr(self, "now", self.keeper.covered) + 1
            self.facts["now"] += 1
            self.keeper.beat(dict(self.facts), self.now)
        return self.asked

    @property
    def state(self) -> dict[str, str]:
        known: dict[str, str] = json.loads(self.keeper.file.read_text())
        return known


def origin(folder: Path, policy: str) -> Origin:
    paths = {"conf": str(folder / "sync.conf"), "state": str(folder / "state.json")}
    keeper = Keeper({**CONFIG, **paths, "policy": policy, "seconds": 9})
    made = Origin(keeper)
    keeper.session = made
    return made


def test_commits_wait_first_and_that_is_said_when_it_is_seen(tmp_path: Path) -> None:
    made = origin(tmp_path, "wait")

    assert made.live(10) == ["on", "waits"]
    assert made.state["state"] == "synchronous"
    word = parse(made.facts["word"])
    assert word is not None
    assert (word.policy, word.waits, word.timeline) == ("wait", True, 3)
    assert made.live(20) == [], "nothing is done twice"


@pytest.mark.parametrize("lacks", [{"sync": False}, {"idle": False}, {"weak": 1}])
def test_a_reload_that_not_every_process_has_read_is_no_waiting(
    tmp_path: Path, lacks: dict[str, object]
) -> None:
    made = origin(tmp_path, "wait")

    assert made.live(30, **lacks) == ["on"]
    assert made.state["state"] == "beginning"


def test_under_the_policy_to_wait_commits_stand_still_for_ever_and_the_state_says_so(
    tmp_path: Path,
) -> None:
    made = origin(tmp_path, "wait")
    made.live(10)

    assert made.live(10_000, has=None) == []
    assert made.state["state"] == "waiting"
    assert made.live(10, has=50) == []
    assert made.state["state"] == "synchronous"


def test_commits_go_on_after_the_seconds_of_the_policy_and_not_before(tmp_path: Path) -> None:
    made = origin(tmp_path, "go_on")
    made.live(12)

    assert "off" not in made.live(8, has=None)
    assert made.live(3) == ["goes on", "off"], "it is written down before it is done"
    assert made.state["state"] == "gone on"


def test_a_standby_that_streams_and_confirms_nothing_is_away_as_well(tmp_path: Path) -> None:
    made = origin(tmp_path, "go_on")
    made.live(12)

    assert made.live(12, written=60) == ["goes on", "off"]


def test_what_cannot_be_written_down_is_not_done(tmp_path: Path) -> None:
    made = origin(tmp_path, "go_on")
    made.live(12)
    made.broken = True

    assert made.live(60, has=None) == []
    assert made.facts["names"] == NAMES


def test_a_standby_that_is_back_is_waited_for_again_and_the_time_alone_is_kept(
    tmp_path: Path,
) -> None:
    made = origin(tmp_path, "go_on")
    made.live(12)
    made.live(30, has=None)

    assert made.live(4, has=50) == [], "not before it has stayed for a while"
    assert made.live(6)[:2] == ["on", "waits"]
    made.live(1)
    assert made.state["alone"].startswith("from 1970-01-01T00:17:")


def test_the_time_of_which_all_is_here_is_said_again_and_again(tmp_path: Path) -> None:
    made = origin(tmp_path, "go_on")
    made.live(12)
    before = parse(made.facts["word"])

    assert set(made.live(9)) == {"waits"}
    after = parse(made.facts["word"])
    assert before is not None
    assert after is not None
    assert after.covered - before.covered >= 6
    assert after.since == before.since


def test_a_standby_waits_for_nobody_so_that_it_may_be_promoted(tmp_path: Path) -> None:
    made = origin(tmp_path, "wait")
    made.live(10)

    assert made.live(3, leads=False) == ["off"]
    assert made.live(30, leads=True, timeline="00000005", has=None) == []
    assert made.state["state"] == "asynchronous"
    assert made.live(10, has=50) == ["on", "waits"], "with a standby of its own again"


def test_what_somebody_else_has_switched_off_is_said_at_once(tmp_path: Path) -> None:
    made = origin(tmp_path, "wait")
    made.live(10)

    assert made.live(1, names="", has=None) == ["goes on"]


def test_a_setting_that_lets_commits_not_wait_takes_the_word_back(tmp_path: Path) -> None:
    made = origin(tmp_path, "wait")
    made.live(10)

    assert made.live(5, weak=1) == ["goes on"]
    assert made.state["state"] == "beginning"
    assert made.live(5, weak=0) == ["waits"]


def test_somebody_may_release_the_commits_by_hand(tmp_path: Path) -> None:
    made = origin(tmp_path, "wait")
    made.live(10)
    made.live(5, has=None)
    seen = dict(made.facts)
    made.asked.clear()
    made.keeper.seen = lambda: seen  # type: ignore[method-assign]  # what psql would say

    assert made.keeper.release() == 0
    assert made.asked == ["goes on", "off"]
    assert made.live(60) == [], "it stays so while the recovery host is away"


def test_a_session_gives_the_answer_of_a_program_that_stays_and_none_of_one_that_ended() -> None:
    echo = f"while read line; do case $line in *{END}) echo {END};; *) echo 7;; esac; done"
    lives, dies = Session(["sh", "-c", echo]), Session(["false"])

    assert [lives.ask("SELECT 7"), lives.ask("SELECT 7")] == ["7", "7"]
    assert dies.ask("SELECT 7") is None
    lives.close()


def test_an_answer_of_any_length_is_none(tmp_path: Path) -> None:
    endless = Session(["sh", "-c", "cat /dev/zero"])
    assert endless.ask("SELECT 7") is None
    assert endless.talk is None, "it was ended"


@pytest.mark.parametrize("said", ["[" * 50_000, "[]", "7", '{"leads": 1', "null"])
def test_an_answer_that_is_none_is_no_beat(tmp_path: Path, said: str) -> None:
    keeper = origin(tmp_path, "wait").keeper
    keeper.session = type("Says", (), {"ask": lambda *_: said})()
    assert keeper.seen() is None


def test_a_beat_that_fails_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = origin(tmp_path, "wait").keeper
    keeper.seen = lambda: {"leads": "who knows"}  # type: ignore[method-assign]
    beats: list[float] = []

    def sleep(seconds: float) -> None:
        beats.append(seconds)
        if len(beats) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("tasks.programs.synchronous.keeper.time.sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        keeper.watch()
    assert capsys.readouterr().err.count("a beat has failed") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone has somebody else to act as")
def test_root_writes_the_setting_as_the_owner_of_its_folder() -> None:
    """A link of the cluster's owner leads root nowhere: neither to write nor to remove."""
    with tempfile.TemporaryDirectory() as made:
        folder, prey = Path(made) / "conf.d", Path(made) / "prey"
        Path(made).chmod(0o755)
        folder.mkdir()
        prey.mkdir()
        (prey / "sync.conf").write_text("root's")
        shutil.chown(folder, "nobody")
        keeper = Keeper({
            **CONFIG, "conf": str(folder / "sync.conf"), "state": str(Path(made) / "state"),
            "policy": "wait", "seconds": 30, "owner": "nobody",
        })  # fmt: skip
        now = 1000.0
        keeper.session = type("Says", (), {"ask": lambda *_: ""})()
        keeper.act("wait", {}, now)
        assert (folder / "sync.conf").owner() == "nobody"
        assert keeper.remove_conf()
        folder.rmdir()
        folder.symlink_to(prey)
        for touch in (keeper.remove_conf, lambda: keeper.act("wait", {}, now + 100)):
            with pytest.raises(PermissionError):
                touch()
        assert (prey / "sync.conf").read_text() == "root's"
        assert sorted(path.name for path in prey.iterdir()) == ["sync.conf"]
