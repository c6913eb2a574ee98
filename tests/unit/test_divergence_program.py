"""What the WAL says that only a former primary has: also of transactions open at the fork."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.programs.divergence import wal
from tasks.programs.divergence.wal import Story, oldest, position, read_wal
from tasks.standby.divergence import parse

FORK = position("0/3000100")
HEAP = (14, 16384)


def _insert(xid: int, lsn: str, node: int = 16384) -> str:
    return (
        f"rmgr: Heap        len (rec/tot):     54/   150, tx:  {xid}, lsn: {lsn}, prev 0/03000028, "
        f"desc: INSERT off 3 flags 0x00, blkref #0: rel 1663/14/{node} blk 0"
    )


def _ends(xid: int, lsn: str, how: str) -> str:
    return (
        f"rmgr: Transaction len (rec/tot):     34/    34, tx:  {xid}, lsn: {lsn}, prev 0/03000060, "
        f"desc: {how}"
    )


def _runs(lsn: str, *xids: int) -> str:
    some = f"; {len(xids)} xacts: {' '.join(map(str, xids))}" if xids else ""
    return (
        f"rmgr: Standby     len (rec/tot):     58/    58, tx:  0, lsn: {lsn}, prev 0/03000028, "
        f"desc: RUNNING_XACTS nextXid 727 latestCompletedXid 724 oldestRunningXid 725{some}"
    )


COMMIT = "COMMIT 2026-01-01 10:00:00.5 UTC"


def test_rows_that_were_streamed_before_the_fork_and_committed_after_it_are_only_here() -> None:
    """Nobody else has them: the other server has aborted what was open when it was promoted."""
    story = Story(FORK).read([
        _runs("0/03000028"),
        _insert(512, "0/03000060"),
        _insert(513, "0/03000090"),
        _ends(512, "0/03000110", COMMIT),
    ])  # fmt: skip
    assert story.committed == {512}
    assert story.touched() == {HEAP: {"inserted": 1}}
    assert story.reaches_back


@pytest.mark.parametrize("how", [COMMIT, "ABORT 2026-01-01 10:00:00.5 UTC"])
def test_what_ended_before_the_fork_is_not_only_here_and_not_kept_in_mind(how: str) -> None:
    story = Story(FORK).read([
        _insert(512, "0/03000030"), _insert(513, "0/03000040"),
        _ends(512, "0/03000050", f"{how}; subxacts: 513"),
        _insert(514, "0/03000110"), _ends(514, "0/03000120", "ABORT 2026-01-01 10:00:00.7 UTC"),
    ])  # fmt: skip
    assert story.changes == {514: {HEAP: {"inserted": 1}}}
    assert (story.committed, story.commits, story.touched()) == (set(), [], {})


def test_a_prepared_transaction_is_known_by_the_number_that_its_end_names() -> None:
    story = Story(FORK).read([
        _insert(729, "0/03000060"),
        _ends(0, "0/03000110", "COMMIT_PREPARED 729: 2026-01-01 10:00:00.5 UTC"),
    ])  # fmt: skip
    assert story.committed == {729}
    assert story.commits == ["2026-01-01 10:00:00.5 UTC"]
    assert story.touched() == {HEAP: {"inserted": 1}}


def test_of_a_transaction_older_than_the_wal_it_is_said_that_rows_may_be_missing() -> None:
    story = Story(FORK).read([
        _insert(725, "0/03000030"), _runs("0/03000040", 725, 726), _runs("0/03000050"),
        _ends(725, "0/03000110", COMMIT),
    ])  # fmt: skip
    assert not story.reaches_back


@pytest.mark.parametrize("lines", [[], [_runs("0/03000108")]])
def test_wal_that_says_nothing_of_before_the_fork_does_not_reach_back(lines: list[str]) -> None:
    commit = _ends(725, "0/03000110", COMMIT)
    assert not Story(FORK).read([*lines, commit]).reaches_back
    assert Story(FORK).read(lines).reaches_back, "where nothing was committed nothing is missing"


def test_the_wal_is_read_from_the_oldest_segment_without_a_gap(tmp_path: Path) -> None:
    for name in (
        "000000010000000000000001", "000000010000000000000003", "000000010000000000000004",
        "000000010000000000000005", "000000020000000000000002", "000000010000000000000002.partial",
        "00000001.history",
    ):  # fmt: skip
        with (tmp_path / name).open("wb") as file:
            file.truncate(16 << 20)
    assert oldest(tmp_path, 1, position("0/4000100")) == position("0/3000000")
    assert oldest(tmp_path, 1, position("0/7000100")) == position("0/7000100"), "none of it is here"


def test_segments_are_numbered_on_beyond_four_gigabytes(tmp_path: Path) -> None:
    for name in ("0000000100000001000000FF", "000000010000000200000000"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(16 << 20)
    assert oldest(tmp_path, 1, position("2/0000100")) == position("1/FF000000")


def test_wal_that_is_torn_before_the_fork_does_not_hide_what_stands_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def dumped(_: dict[str, object], start: int, story: Story) -> str:
        asked.append(start)
        lines: Iterable[str] = [_ends(512, "0/03000110", COMMIT)] if start == FORK else []
        story.read(lines)
        return "invalid magic number"

    monkeypatch.setattr(wal, "dump", dumped)
    with (tmp_path / "000000010000000000000003").open("wb") as file:
        file.truncate(16 << 20)
    (tmp_path / "pg_wal").symlink_to(tmp_path)

    story = read_wal({"directory": str(tmp_path), "timeline": 1, "fork": "0/3000100"})

    assert asked == [position("0/3000000"), FORK]
    assert story.committed == {512}
    assert not story.reaches_back


ENDS = (
    "pg_waldump: fatal: error in WAL record at 0/30000C8: invalid record length at 0/3000100: "
    "wanted 24, got 0"
)
ENDS_IN_19 = (
    "pg_waldump: error: error in WAL record at 0/030000C8: invalid record length at 0/03000100: "
    "expected at least 24, got 0"
)


@pytest.mark.parametrize("ends", [ENDS, ENDS_IN_19])
def test_wal_that_ends_at_the_fork_says_that_nothing_was_written_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(wal, "dump", lambda *_: ends)
    with (tmp_path / "000000010000000000000003").open("wb") as file:
        file.truncate(16 << 20)
    (tmp_path / "pg_wal").symlink_to(tmp_path)
    config = {"directory": str(tmp_path), "timeline": 1, "fork": "0/3000100"}

    assert not read_wal(config).committed
    monkeypatch.setattr(wal, "dump", lambda *_: "could not find a valid record")
    with pytest.raises(SystemExit, match="cannot be read"):
        read_wal(config)


def test_the_summary_says_when_rows_may_be_missing() -> None:
    text = '{"fork": "0/3", "transactions": 2, "first": "a", "last": "b", "tables": []%s}'
    assert "may be missing" in str(parse(text % ', "reaches_back": false'))
    assert "missing" not in str(parse(text % "")), "as those that are kept already"
