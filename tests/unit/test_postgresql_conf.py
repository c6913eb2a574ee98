"""The settings with which a node can lead, follow and be rewound."""

import pytest

from tasks.postgres.postgresql_conf import (
    HOT_STANDBY,
    at_least,
    listen_addresses,
    quote,
    replication,
)

CURRENT = {
    "wal_level": "replica",
    "listen_addresses": "localhost",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "wal_keep_size": "0",
    "wal_keep_segments": "0",
    "max_slot_wal_keep_size": "-1",
}


def choose(*, version: int = 13, shared: bool = False, **current: str) -> dict[str, str | int]:
    return replication(
        version=version, keep_mb=1000, cap_mb=4096, current=CURRENT | current, listen="10.0.0.1",
        shared=shared,
    )  # fmt: skip


def test_a_node_can_be_rewound_one_day() -> None:
    chosen = choose()

    assert (chosen["wal_log_hints"], chosen["full_page_writes"]) == ("on", "on")


def test_wal_is_kept_in_the_words_of_the_version() -> None:
    new, old = choose(version=13), choose(version=12)

    assert (new["wal_keep_size"], new["max_slot_wal_keep_size"]) == ("1000MB", "4096MB")
    assert old["wal_keep_segments"] == 63
    assert not {"wal_keep_size", "max_slot_wal_keep_size"} & old.keys()


@pytest.mark.parametrize(
    ("current", "chosen"), [("minimal", "replica"), ("replica", "replica"), ("logical", "logical")]
)
def test_the_level_of_wal_is_raised_and_never_lowered(current: str, chosen: str) -> None:
    assert choose(wal_level=current)["wal_level"] == chosen


def test_limits_are_raised_and_never_lowered() -> None:
    assert choose(max_wal_senders="2")["max_wal_senders"] == 10
    assert choose(max_wal_senders="64")["max_wal_senders"] == 64


@pytest.mark.parametrize(
    ("current", "after"),
    [
        ("", "10.0.0.1"),
        ("localhost", "localhost,10.0.0.1"),
        ("localhost, 10.0.0.1", "localhost, 10.0.0.1"),
        ("10.0.0.11", "10.0.0.11,10.0.0.1"),
        ("*", "*"),
    ],
)
def test_one_more_address_is_listened_on_and_none_given_up(current: str, after: str) -> None:
    assert listen_addresses(current, "10.0.0.1") == after


def test_a_standby_allows_no_less_than_its_primary_in_any_limit() -> None:
    primary = {name: str(10 * n) for n, name in enumerate(HOT_STANDBY)}
    standby = dict.fromkeys(HOT_STANDBY, "15")

    assert list(at_least(primary, standby).values()) == [15, 15, 20, 30, 40]


def test_a_backslash_is_doubled_as_alter_system_does() -> None:
    assert quote("a\\b") == r"'a\\b'"


def test_wal_that_is_kept_already_is_kept_on() -> None:
    assert choose(wal_keep_size="8192")["wal_keep_size"] == "8192MB"
    assert choose(version=12, wal_keep_segments="512")["wal_keep_segments"] == 512


@pytest.mark.parametrize(
    ("current", "alone", "shared"), [("-1", "4096MB", -1), ("64", "4096MB", "4096MB"),
                                     ("8192", "4096MB", "8192MB")]
)  # fmt: skip
def test_the_cap_of_slots_is_lowered_only_where_no_slot_is_somebody_else_s(
    current: str, alone: str, shared: str | int
) -> None:
    def cap(*, shared: bool) -> str | int:
        chosen = choose(shared=shared, max_slot_wal_keep_size=current)
        return chosen["max_slot_wal_keep_size"]

    assert (cap(shared=False), cap(shared=True)) == (alone, shared)
