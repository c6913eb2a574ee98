"""Whatever makes a watermark meaningless is noticed, and everything is compared again."""

import os
import shutil

from hypothesis import given
from hypothesis import strategies as st

from tasks.programs.filestore import decide
from tasks.programs.filestore.decide import Guard, Head
from tests.engine.clusters import Twins, as_postgres, tools

GUARDS = st.builds(Guard, *[st.sampled_from("ab")] * 6)


def _prepared(twins: Twins) -> list[str]:
    names = twins.attach(b"one", b"two")
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
    return names


def _sweep(twins: Twins) -> None:
    twins.catch_up()
    with twins.engine() as engine:
        assert engine.sweep() == []


def test_a_table_put_in_the_place_of_another_is_read_anew(twins: Twins) -> None:
    """Its rows are older than the watermark."""
    twins.primary.sql("CREATE TABLE swapped (LIKE ir_attachment)")
    name, size = twins.store(b"old row")
    twins.primary.sql(f"INSERT INTO swapped VALUES (9, 'x', '', 1, 1, now(), '{name}', {size})")
    _prepared(twins)
    twins.primary.sql(
        "BEGIN; ALTER TABLE ir_attachment RENAME TO former; "
        "ALTER TABLE swapped RENAME TO ir_attachment; ALTER TABLE ir_attachment OWNER TO odoo; "
        "COMMIT"
    )
    _sweep(twins)
    assert twins.has(name)


def test_a_database_from_a_template_is_read_as_a_whole(twins: Twins) -> None:
    names = _prepared(twins)
    twins.create("copy", template="shop")
    shutil.copytree(twins.theirs / "shop", twins.theirs / "copy")
    _sweep(twins)
    assert all(twins.has(name, "copy") for name in names)


def test_a_renamed_database_has_its_files_under_its_new_name(twins: Twins) -> None:
    names = _prepared(twins)
    twins.primary.sql("ALTER DATABASE shop RENAME TO store", "postgres")
    (twins.theirs / "shop").rename(twins.theirs / "store")
    _sweep(twins)
    assert all(twins.has(name, "store") for name in names)


def test_a_database_dropped_and_made_again_under_its_name_is_read_as_a_whole(twins: Twins) -> None:
    _prepared(twins)
    twins.primary.drop("shop")
    twins.create("shop")
    names = twins.attach(b"other")
    _sweep(twins)
    assert all(map(twins.has, names))


def test_a_standby_seeded_from_an_older_point_is_read_as_a_whole(twins: Twins) -> None:
    """The same xids are used again, for other rows; the system identifier is the same."""
    twins.attach(b"common")
    twins.primary.sql("CHECKPOINT", "postgres")
    twins.primary.stop()
    older = twins.primary.folder / "older"
    shutil.rmtree(older, ignore_errors=True)
    as_postgres("cp", "-a", twins.primary.data, older)
    twins.primary.start()
    twins.attach(*(os.urandom(20) for _ in range(30)))
    twins.catch_up()
    with twins.engine() as engine:
        engine.sweep()
        first = engine.state.watermark("shop")
    twins.primary.stop()
    shutil.rmtree(twins.primary.data)
    older.rename(twins.primary.data)
    twins.primary.start()
    names = twins.attach(*(os.urandom(20) for _ in range(20)))
    twins.seed()
    _sweep(twins)
    with twins.engine() as engine:
        then = engine.state.watermark("shop")
    assert first is not None
    assert then is not None
    assert first.guard.system_identifier == then.guard.system_identifier
    assert all(map(twins.has, names))


def test_a_restart_of_the_standby_is_noticed(twins: Twins) -> None:
    names = _prepared(twins)
    twins.standby.restart()
    (twins.ours / "shop" / names[0]).unlink()
    _sweep(twins)
    assert twins.has(names[0])


def test_a_standby_that_served_meanwhile_is_read_as_a_whole(twins: Twins) -> None:
    """Promoted, and cloned anew from the one that went on."""
    _prepared(twins)
    as_postgres(tools() / "pg_ctl", "-D", twins.standby.data, "-w", "promote")
    with twins.engine(serving=True) as engine:
        engine.sweep()
        before = engine.state.watermark("shop")
    twins.seed()
    with twins.engine() as engine:
        engine.sweep()
        after = engine.state.watermark("shop")
    assert before is not None
    assert after is not None
    assert before.guard != after.guard


@given(GUARDS, GUARDS, st.integers(0, 2**40), st.integers(-5, 2**33))
def test_a_watermark_is_used_only_under_the_same_guard_and_within_half_the_xids(
    known: Guard, now: Guard, watermark: int, ahead: int
) -> None:
    head = Head(True, max(0, watermark + ahead), "0/0", 0.0, 0.0, now)
    goes_on = decide.may_continue(known, watermark, head)
    distance = head.xmin - watermark
    assert goes_on == (known == now and 0 <= distance < decide.COMPARABLE)
    assert not decide.may_continue(None, watermark, head)
