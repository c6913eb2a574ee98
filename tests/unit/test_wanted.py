"""Which deployments there are, and how often they run: what thirty instances cost Prefect."""

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from prefect.server.schemas.schedules import IntervalSchedule

from blocks.instance import OdooInstance, Schedules
from deployments import wanted
from deployments.wanted import Wanted, everything
from tests.flows.conftest import instance

__all__ = ["instance"]
DAY = 86400
MOST_RUNS = 1000


def fleet(instance: OdooInstance, count: int) -> list[OdooInstance]:
    """So many instances of one recovery host, each with users of its own there."""
    made = []
    for number in range(count):
        name, place = f"vps_{number}", instance.recovery
        odoo = place.odoo.model_copy(update={"user": f"odoo_{name}"})
        recovery = place.model_copy(update={"odoo": odoo})
        folder = PurePosixPath(f"/srv/{name}")
        made.append(
            instance.model_copy(update={"name": name, "recovery": recovery, "directory": folder})
        )
    return made


def due(each: Wanted) -> float:
    """How often a day a deployment starts by itself."""
    return DAY / each.every_seconds if each.every_seconds else 0.0


def test_thirty_instances_start_no_more_than_a_thousand_runs_a_day(instance: OdooInstance) -> None:
    assert 0 < sum(map(due, everything(fleet(instance, 30)))) <= MOST_RUNS


def test_one_run_for_each_recovery_host_copies_as_often_as_the_most_impatient_wants(
    instance: OdooInstance,
) -> None:
    first, second, other = fleet(instance, 3)
    hurried = second.model_copy(update={"schedules": Schedules(filestore_seconds=60)})
    host = other.recovery.host.model_copy(update={"name": "tre"})
    elsewhere = other.model_copy(
        update={"recovery": other.recovery.model_copy(update={"host": host})}
    )

    found = [each for each in everything([first, hurried, elsewhere]) if each.flow == "copies"]

    assert [(each.name, each.every_seconds) for each in found] == [("due", 60), ("tre", 300)]
    assert [each.parameters for each in found] == [{"recovery": "due"}, {"recovery": "tre"}]
    assert all(each.always for each in found), "no instance's failover stops them"
    assert found[0].tags == ["recovery:due", "scheduled"]


def test_the_own_copy_of_an_instance_is_a_button_whose_schedule_is_a_switch(
    instance: OdooInstance,
) -> None:
    own = next(
        each
        for each in wanted.deployments(instance)
        if (each.flow, each.name) == ("rsync_filestore", "vps_1")
    )

    assert own.tags == ["instance:vps_1", "scheduled", "switch"]
    schedule = IntervalSchedule(interval=own.interval, anchor_date=own.anchor, timezone="UTC")
    now = datetime.now(UTC)
    dates = schedule._get_dates_generator(n=3, start=now, end=now + timedelta(days=3650))
    assert list(dates) == [], "it starts nothing"


@pytest.mark.parametrize("count", [1, 30])
def test_no_two_deployments_have_the_name_of_one(instance: OdooInstance, count: int) -> None:
    named = [(each.flow, each.name) for each in everything(fleet(instance, count))]

    assert len(named) == len({*named})


def test_an_inventory_of_before_that_says_how_often_the_follower_is_watched_is_understood() -> None:
    assert Schedules.model_validate({"follow_seconds": 900}) == Schedules()
