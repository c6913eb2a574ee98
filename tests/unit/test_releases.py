"""PostgreSQL 12 to 19: taken by the models, and told only what the release knows."""

import pytest
from pydantic import ValidationError

from blocks.cluster import Cluster
from deployments.inventory import PostgresEntry
from tests.releases import RELEASES, settings

# The first release that knows a setting, and the last (PostgreSQL's release notes).
FIRST = {
    "wal_keep_size": 13, "max_slot_wal_keep_size": 13, "log_min_duration_sample": 13,
    "idle_session_timeout": 14, "client_connection_check_interval": 14, "event_triggers": 17,
}  # fmt: skip
LAST = {"wal_keep_segments": 12, "stats_temp_directory": 14, "promote_trigger_file": 15}


@pytest.mark.parametrize("version", RELEASES)
def test_a_release_is_taken_and_told_only_settings_that_it_knows(version: int) -> None:
    assert Cluster(version=version).version == PostgresEntry(version=version).version == version
    told = settings(version)
    assert {name for name in told if version < FIRST.get(name, 0)} == set()
    assert {name for name in told if version > LAST.get(name, version)} == set()


def test_the_settings_that_came_and_went_are_told_where_they_are_known() -> None:
    assert FIRST.keys() <= settings(17)
    assert settings(12) & LAST.keys() == {"wal_keep_segments", "stats_temp_directory"}
    assert settings(18) == settings(19)


@pytest.mark.parametrize("noun", [Cluster, PostgresEntry])
def test_an_older_release_is_refused(noun: type[Cluster] | type[PostgresEntry]) -> None:
    """It has recovery.conf in place of a signal file."""
    with pytest.raises(ValidationError, match="greater than or equal to 12"):
        noun(version=11)
