"""What pg_controldata of PostgreSQL 13 (Debian 11) and 17 (Debian 13) said of real clusters.

The files in data/ are its unedited output under LC_ALL=C.
"""

from pathlib import Path

import pytest

from tasks.postgres.controldata import ControlData, parse
from tasks.postgres.wal import Lsn

DATA = Path(__file__).parent / "data"
VERSIONS = (13, 17)


def read(version: int, what: str) -> ControlData:
    return parse((DATA / f"pg_controldata_{version}_{what}.txt").read_text())


def test_every_fact_of_a_clean_shutdown_is_read() -> None:
    control = read(13, "shut_down")

    assert control.state == "shut down"
    assert control.timeline == 1
    assert control.checkpoint == Lsn.parse("0/3023798")
    assert control.minimum_recovery_end == Lsn(0)
    assert control.system_identifier.isdigit()
    assert len(control.system_identifier) == 19


@pytest.mark.parametrize("version", VERSIONS)
def test_a_primary_that_stopped_cleanly_is_known_by_its_state(version: int) -> None:
    control = read(version, "shut_down")

    assert control.shut_down
    assert not control.shut_down_in_recovery
    assert not control.was_standby


@pytest.mark.parametrize("version", VERSIONS)
def test_a_primary_that_runs_or_crashed_did_not_stop_cleanly(version: int) -> None:
    control = read(version, "in_production")

    assert control.state == "in production"
    assert not control.shut_down
    assert not control.was_standby


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", ["in_archive_recovery", "shut_down_in_recovery"])
def test_a_standby_is_known_running_and_stopped_and_never_as_a_stopped_primary(
    version: int, what: str
) -> None:
    control = read(version, what)

    assert control.was_standby
    assert not control.shut_down
    assert control.shut_down_in_recovery == (what == "shut_down_in_recovery")


def test_a_primary_that_was_stopped_in_its_own_crash_recovery_was_no_standby() -> None:
    control = read(13, "stopped_in_crash_recovery")

    assert control.shut_down_in_recovery
    assert not control.was_standby
    assert not control.shut_down


@pytest.mark.parametrize("version", VERSIONS)
def test_a_standby_says_how_far_it_must_replay(version: int) -> None:
    """It had received the primary's shutdown checkpoint up to its very start."""
    assert (
        read(version, "shut_down").checkpoint
        == read(version, "shut_down_in_recovery").minimum_recovery_end
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_copies_of_one_cluster_share_its_identity(version: int) -> None:
    assert (
        read(version, "shut_down").system_identifier
        == read(version, "shut_down_in_recovery").system_identifier
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cluster_in_which_nothing_was_ever_made_was_never_used(version: int) -> None:
    """It may run: a boot starts what pg_createcluster has made."""
    assert read(version, "in_production").never_used
    assert not read(version, "shut_down").never_used
    assert not read(version, "shut_down_in_recovery").never_used


def test_hints_or_checksums_make_a_cluster_rewindable_and_nothing_else_does() -> None:
    hints, checksums = read(17, "shut_down"), read(17, "checksums")
    neither = read(13, "without_hints")

    assert (hints.log_hints, hints.checksums, hints.rewindable) == (True, False, True)
    assert (checksums.log_hints, checksums.checksums, checksums.rewindable) == (False, True, True)
    assert (neither.log_hints, neither.checksums, neither.rewindable) == (False, False, False)


def test_an_output_that_lacks_a_fact_is_an_error_and_no_guess() -> None:
    with pytest.raises(KeyError, match="Database system identifier"):
        parse("pg_control version number: 1300\n")
