"""Files that were right on the recovery host, and that somebody has deleted, spoiled or shut."""

import os
from collections.abc import Callable

import pytest

from tasks.programs.filestore.care import Care
from tasks.programs.filestore.engine import Engine
from tasks.programs.filestore.verdict import Verdict, verdicts
from tests.engine.clusters import Twins


def shop(engine: Engine) -> Verdict:
    (verdict,) = (each for each in verdicts(engine) if each.database == "shop")
    return verdict


def _spoil(path: str) -> None:
    """Write other bytes of the same length."""
    with open(path, "r+b") as file:  # noqa: PTH123  # in place
        file.write(b"#")


def _shorten(path: str) -> None:
    os.truncate(path, 3)


DAMAGE: dict[str, Callable[[str], None]] = {
    "deleted here": os.unlink,
    "spoiled here": _spoil,
    "spoiled here ": _shorten,
}


@pytest.mark.parametrize("why", DAMAGE)
def test_a_file_that_was_right_here_and_is_not_is_named_and_mended(twins: Twins, why: str) -> None:
    names = twins.attach(*(os.urandom(100) for _ in range(5)))
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        assert shop(engine).damaged == 0
        DAMAGE[why](f"{twins.ours}/shop/{names[2]}")

        for _ in range(2):  # it is said as long as it is so
            found = shop(engine)
            assert (found.damaged, found.damage) == (1, f"1 {why.strip()} ({names[2]})")
            assert [(each.file, each.why) for each in found.losses] == [(names[2], why.strip())]

        Care(engine).reconcile(repair=False, accept_deletions=False)
        assert shop(engine).damaged == 0
    assert all(map(twins.has, names))


def test_what_is_under_way_or_new_is_no_damage(twins: Twins) -> None:
    names = twins.attach(os.urandom(100))
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        twins.attach(os.urandom(100))
        (twins.theirs / "shop" / twins.attach(os.urandom(90))[0]).unlink()
        twins.catch_up()
        assert shop(engine).damaged == 0, "rows that no scan has read yet"
        engine.sweep()
        found = shop(engine)
        assert (found.damaged, found.missing) == (0, 1), "what the origin has not is pending"
        assert twins.has(names[0])
