"""What a failover may lose is bounded by what was known, and never flattered."""

from datetime import UTC, datetime
from typing import Literal

import pytest

from tasks.postgres.wal import Lsn
from tasks.records.commits import CommitNotice
from tasks.records.kinds import Failover
from tasks.records.loss import Exposure, Sample, rate
from tasks.records.schema import parse

NOW = 1_800_000_000.0
RECEIVED = Lsn(10_000)


def estimate(
    *,
    last_commit: float | None = None,
    known_lag: int = 0,
    samples: list[Sample] | None = None,
    next_xid: int = 0,
) -> Exposure:
    return Exposure.estimate(
        now=NOW,
        last_commit=last_commit,
        received=RECEIVED,
        known_lag=known_lag,
        samples=samples or [],
        next_xid=next_xid,
    )


def test_the_last_commit_seen_here_bounds_the_loss() -> None:
    exposure = estimate(last_commit=NOW - 12.5)

    assert exposure.seconds == 12.5
    assert exposure.last_commit == "2027-01-15T07:59:47.500+00:00"


def test_a_quiet_origin_is_bounded_by_the_sample_of_which_all_is_here() -> None:
    """Nothing was committed for an hour, and ten seconds ago the origin had no more than we."""
    exposure = estimate(last_commit=NOW - 3600, samples=[Sample(NOW - 10, RECEIVED)])

    assert exposure.seconds == 10


def test_a_sample_of_which_something_is_missing_here_bounds_nothing() -> None:
    exposure = estimate(last_commit=NOW - 3600, samples=[Sample(NOW - 10, Lsn(10_001))])

    assert exposure.seconds == 3600


def test_a_later_commit_beats_an_older_sample() -> None:
    exposure = estimate(last_commit=NOW - 5, samples=[Sample(NOW - 60, Lsn(1))])

    assert exposure.seconds == 5


def test_a_clock_that_runs_a_little_ahead_at_the_origin_makes_no_negative_loss() -> None:
    assert estimate(last_commit=NOW + 4).seconds == 0


def test_a_clock_that_is_an_hour_ahead_at_the_origin_does_not_say_how_long_ago_it_was() -> None:
    exposure = estimate(last_commit=NOW + 3600)

    assert exposure.seconds is None
    assert "after 2027-01-15T09:00:00.000+00:00 by the origin's clock" in str(exposure)


def test_a_commit_after_the_sample_counts_though_the_clock_was_set_back_between() -> None:
    """What is lost was committed at 07:01 by the origin's clock, and not after 08:00."""
    before = Sample(NOW, RECEIVED, next_xid=700)

    assert estimate(last_commit=NOW - 3600, samples=[before], next_xid=701).seconds == 3600
    assert estimate(last_commit=NOW - 3600, samples=[before], next_xid=700).seconds == 0


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    exposure = estimate(known_lag=42)

    assert exposure.seconds is None
    assert str(exposure) == "an unknown number of commits, an unknown amount of WAL"


def test_bytes_are_the_known_lag_and_the_usual_rate() -> None:
    samples = [Sample(NOW - 30, Lsn(1_000)), Sample(NOW - 20, Lsn(3_000))]

    exposure = estimate(last_commit=NOW - 10, known_lag=500, samples=samples)

    assert exposure.about_bytes == 500 + 200 * 10


def test_an_estimate_is_never_called_lossless() -> None:
    assert not estimate(last_commit=NOW).lossless
    assert Exposure.none().lossless


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([Sample(0, Lsn(5))], id="one_sample"),
        pytest.param([Sample(5, Lsn(0)), Sample(5, Lsn(9))], id="two_at_one_time"),
        pytest.param([Sample(5, Lsn(0)), Sample(6, Lsn(0))], id="two_moments_apart"),
        pytest.param([Sample(9, Lsn(0)), Sample(5, Lsn(9))], id="a_clock_set_back"),
        pytest.param([Sample(0, Lsn(9)), Sample(50, Lsn(0))], id="another_cluster"),
    ],
)
def test_samples_that_make_no_sense_have_no_rate(samples: list[Sample]) -> None:
    assert rate(samples) is None
    assert estimate(last_commit=NOW - 10, samples=samples).about_bytes is None


def noted_down(exposure: Exposure) -> Exposure:
    noted = Failover(exposure=exposure, reason="", time=datetime.now(UTC))
    return parse(Failover, noted.as_text(), "it").exposure


@pytest.mark.parametrize("exposure", [Exposure.none(), estimate(last_commit=NOW - 1)])
def test_an_exposure_survives_being_noted_down(exposure: Exposure) -> None:
    assert noted_down(exposure) == exposure


def notice(policy: Literal["wait", "go_on"]) -> CommitNotice:
    return CommitNotice(
        policy=policy, seconds=30, waits=True, since=NOW - 900, covered=NOW - 100, timeline=1
    )


def test_where_commits_always_waited_nothing_acknowledged_is_lost_and_the_origin_may_live() -> None:
    samples = [Sample(NOW - 10, Lsn(99_999))]

    exposure = Exposure.estimate(
        now=NOW, last_commit=NOW - 3600, received=RECEIVED, known_lag=9, samples=samples,
        notice=notice("wait"),
    )  # fmt: skip

    assert str(exposure).startswith("nothing: every commit")
    assert not exposure.lossless, "somebody has to see by other means that the origin is down"
    assert noted_down(exposure) == exposure


def test_where_commits_may_go_on_the_bound_is_later_by_the_seconds_of_the_policy() -> None:
    exposure = Exposure.estimate(
        now=NOW, last_commit=NOW - 3600, received=RECEIVED, known_lag=0, samples=[],
        notice=notice("go_on"),
    )  # fmt: skip

    assert exposure.seconds == 70
    assert str(exposure).startswith("nothing acknowledged before 2027-01-15T07:58:50.000+00:00")


def test_a_statement_of_before_the_option_can_still_be_read() -> None:
    exposure = '{"lossless": true, "seconds": 0, "about_bytes": 0, "last_commit": ""}'
    text = f'{{"exposure": {exposure}, "reason": "", "time": "2026-11-28T12:00:00+00:00"}}'

    assert parse(Failover, text, "it").exposure == Exposure.none()
