"""The pending table under any order of events: what was wanted stays wanted until it is here."""

import json
import tempfile
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tasks.programs.filestore import decide
from tasks.programs.filestore.comparison import digests
from tasks.programs.filestore.decide import ABSENT, BAD, LOST, Guard
from tasks.programs.filestore.names import Key, is_file
from tasks.programs.filestore.state import State

GUARD = Guard("7", "1", "99.5", "16", "shop", "17")
KEYS = st.sampled_from([Key("shop", f"0b/{n:02x}" + 19 * "0b") for n in range(6)])
STATES = st.sampled_from([ABSENT, BAD, LOST])


class PendingTable(RuleBasedStateMachine):
    """A model of two sets beside the real table; a crash at any point loses nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "state.sqlite")
        self.state = State(self.path)
        self.wanted: set[Key] = set()
        self.xmin = 0

    @rule(keys=st.sets(KEYS), more=st.integers(0, 5))
    def advance(self, keys: set[Key], more: int) -> None:
        self.xmin += more
        self.state.advance(GUARD, self.xmin, "0/1", [(key, 1) for key in keys])
        self.wanted |= keys

    @rule(keys=st.sets(KEYS))
    def crash_while_advancing(self, keys: set[Key]) -> None:
        """Neither the watermark nor a part of its candidates may be noted."""

        def die() -> object:
            yield from [(key, 1) for key in keys]
            raise KeyboardInterrupt

        try:
            self.state.advance(GUARD, self.xmin + 99, "0/2", die())  # type: ignore[arg-type]
        except KeyboardInterrupt:
            self.reopen()

    @rule(key=KEYS)
    def fetched(self, key: Key) -> None:
        self.state.done([key])
        self.wanted.discard(key)

    @rule(key=KEYS, state=STATES)
    def failed(self, key: Key, state: str) -> None:
        self.state.failed(key, state, why="because")

    @rule()
    def reopen(self) -> None:
        self.state.close()
        self.state = State(self.path)

    @invariant()
    def what_is_wanted_is_pending(self) -> None:
        assert {each.key for each in self.state.pending()} == self.wanted
        assert set(self.state.due()) == self.wanted
        assert self.state.count() == len(self.wanted)

    @invariant()
    def the_watermark_is_where_it_was_put(self) -> None:
        mark = self.state.watermark("shop")
        assert (mark.xmin if mark else 0) == self.xmin

    @invariant()
    def database_and_files_agree_only_when_nothing_is_pending(self) -> None:
        assert self.state.agree("shop", "0/3", 1.0) == (not self.wanted)

    def teardown(self) -> None:
        self.state.close()
        self.folder.cleanup()


TestPendingTable = PendingTable.TestCase


@given(KEYS, st.integers(1, 100))
def test_a_file_that_failed_often_is_tried_again_within_a_minute(key: Key, tries: int) -> None:
    """Also when the clock was set back meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        state = State(f"{folder}/state.sqlite")
        state.want([key])
        for _ in range(min(tries, 8)):
            state.failed(key, BAD)
        now = time.time()
        assert state.due(at=now) == []
        assert state.due(at=2**40) == [key]
        assert state.due(at=now - 3600) == [key]
        state.close()
    assert 0 < decide.delay_seconds(tries) <= decide.LAST_DELAY_SECONDS


def test_an_orphan_keeps_the_time_since_when_it_is_one_until_it_is_named_again() -> None:
    one, other = Key("shop", "0b/" + 20 * "0b"), Key("shop", "0c/" + 20 * "0c")
    with tempfile.TemporaryDirectory() as folder:
        state = State(f"{folder}/state.sqlite")
        assert state.orphans({one}, 10.0) == [(one, 10.0)]
        assert state.orphans({one, other}, 20.0) == [(one, 10.0), (other, 20.0)]
        assert state.orphans({other}, 30.0) == [(other, 20.0)]
        assert state.orphans({one}, 40.0) == [(one, 40.0)]
        state.close()


def test_the_guard_survives_its_journey_through_the_table() -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = State(f"{folder}/state.sqlite")
        state.advance(GUARD, 5, "0/1", [])
        mark = state.watermark("shop")
        assert mark is not None
        assert mark.guard == GUARD == Guard(*json.loads(json.dumps(GUARD)))
        state.close()


HEXES = st.text("0123456789abcdef", min_size=40, max_size=40)


@given(st.sets(HEXES, max_size=5), st.sampled_from(["ab", "abc"]))
def test_names_that_were_joined_come_apart_as_they_were(names: set[str], shard: str) -> None:
    mine = {shard + name[len(shard) :] for name in names}
    assert digests(f"{shard}/", "".join(mine)) == mine


@given(st.text(max_size=60))
def test_no_name_but_odoo_s_own_is_taken_for_a_file(name: str) -> None:
    shard, slash, digest = name.partition("/")
    good = (
        bool(slash) and len(digest) == 40 and set(digest) <= set("0123456789abcdef")
        and len(shard) in {2, 3} and digest.startswith(shard)
    )  # fmt: skip
    assert is_file(name) == good
