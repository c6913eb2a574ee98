"""A customer's database role, no superuser: traps for whoever asks in his databases by day."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blocks.instance import OdooInstance
from tests.attacks import canary, days, traps
from tests.attacks.days import Flow
from tests.attacks.oracle import Stage
from tests.lab.machine import wait_until
from tests.oracles import Pair


@contextmanager
def trapped(stage: Stage, lay: Callable[[Pair], None]) -> Iterator[None]:
    """Lay a trap at the origin, wait for it on the standby, and take it away in the end."""
    uno = stage.attacker
    try:
        lay(uno)
        at = uno.at_origin("SELECT pg_current_wal_lsn()")
        wait_until(
            lambda: uno.at_recovery(f"SELECT pg_last_wal_replay_lsn() >= '{at}'") == "t",
            "the trap is replicated",
        )
        stage.sweep()
        with canary.untouched(*stage.hosts):
            yield
    finally:
        traps.clear(uno)


def nothing_runs(stage: Stage, block: OdooInstance, *flows: Flow) -> list[str]:
    """Live through a day; no payload may have run, on any host, as anybody but the role itself."""
    said = days.live(block, *flows)
    loot = stage.collect()
    breaches = [each for one in loot for each in one.breaches(stage)]
    assert not loot, "\n".join(breaches[:20])
    return said


def test_views_in_place_of_odoos_tables_run_nothing_for_a_role(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    with trapped(stage, traps.views):
        nothing_runs(stage, blocks["vps_uno"], days.reconcile_filestore, days.build_service)


def test_a_search_path_with_other_things_of_postgresqls_names_runs_nothing(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    with trapped(stage, traps.names):
        nothing_runs(stage, blocks["vps_uno"], days.check, days.plan)


def test_an_aggregate_that_fits_better_than_postgresqls_own_runs_nothing(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    with trapped(stage, traps.aggregate):
        nothing_runs(stage, blocks["vps_uno"], days.setup_primary, days.check)


def test_a_database_with_a_statement_in_the_second_line_of_its_name_runs_nothing(
    stage: Stage, blocks: dict[str, OdooInstance]
) -> None:
    """It is refused and named; and no line of a refusal is the attacker's."""
    with trapped(stage, traps.newlines):
        said = nothing_runs(stage, blocks["vps_uno"], days.check, days.reconcile_filestore)
    lines = [line for each in said for line in each.splitlines()]
    assert not [line for line in lines if line.startswith("COPY(")], said
