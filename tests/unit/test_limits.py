"""What a standby needs to go on with the WAL of another server."""

import pytest

from tasks.postgres import postgresql_conf
from tests.unit.test_controldata import VERSIONS, read


@pytest.mark.parametrize("version", VERSIONS)
def test_pg_control_says_with_which_limits_its_wal_was_written(version: int) -> None:
    limits = read(version, "in_archive_recovery").limits

    assert set(limits) == set(postgresql_conf.HOT_STANDBY)
    assert limits["max_connections"] == 100


def test_a_limit_that_is_raised_changes_nothing_else_and_a_second_time_nothing() -> None:
    text = postgresql_conf.render({"max_connections": 100, "wal_level": "replica"})
    needs = {"max_connections": 300, "max_worker_processes": 8}

    once = postgresql_conf.raised(text, needs)

    assert "wal_level = 'replica'\n" in once
    assert postgresql_conf.kept_limits(once) == needs
    assert postgresql_conf.raised(once, needs) == once
    assert postgresql_conf.raised(once, dict.fromkeys(needs, 1)) == once
