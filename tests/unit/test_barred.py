"""Which databases of a standby are read: one that keeps us out is named, and in nobody's way."""

from typing import Any, cast

import pytest

from tasks.programs.filestore.databases import Barred, Databases
from tasks.programs.filestore.trouble import ClusterSaysNo, OriginAway
from tasks.programs.filestore.wire import Cluster, Row

ROWS: list[Row] = [
    ["shop", "16", "odoo", "t", "t"],
    ["closed", "17", "odoo", "f", "t"],
    ["strangers", "18", "other", "t", "f"],
    ["ours", "19", "odoo", "t", "f"],
    ["a/b", "20", "odoo", "t", "t"],
]


class Answering:
    """A cluster that gives one answer."""

    def ask(self, database: str, sql: str) -> list[Row]:
        assert (database, "pg_database" in sql) == ("postgres", True)
        return ROWS


@pytest.fixture
def databases() -> Databases:
    found = Databases("odoo")
    assert found.read(cast(Cluster, cast(Any, Answering()))) == ["shop"]
    return found


def test_each_that_is_not_read_has_its_reason(databases: Databases) -> None:
    assert databases.never_read() == [
        "closed: it allows no connections",
        "ours: role odoo may not connect to it",
        "a/b: its name can be no folder of the filestore",
    ]
    assert databases.foreign() == [
        "strangers: role odoo may not connect to it, and it belongs to other"
    ]
    assert databases.oids["closed"] == "17"


def test_what_goes_wrong_with_one_is_said_of_it_until_it_goes_well(databases: Databases) -> None:
    tries: list[str] = []

    def fails_once() -> None:
        tries.append("")
        if len(tries) == 1:
            raise ValueError("senseless")

    assert databases.alone("shop", fails_once) == "shop: ValueError: senseless"
    databases.drop_barred()
    assert databases.known == []
    assert databases.alone("shop", fails_once) == ""
    assert "shop" not in databases.barred
    tries.clear()
    databases.twice("shop", fails_once)
    assert (len(tries), "shop" in databases.barred) == (2, False)


def test_one_of_anothers_that_keeps_us_out_is_no_trouble(databases: Databases) -> None:
    def refused() -> None:
        raise ClusterSaysNo("permission denied", code="42501")

    assert databases.alone("strangers", refused) == ""
    why = "permission denied, and it belongs to other"
    assert databases.barred["strangers"] == Barred(why, foreign=True)
    assert databases.alone("shop", refused) == "shop: permission denied"


def test_what_concerns_all_of_them_is_raised(databases: Databases) -> None:
    def away() -> None:
        raise OriginAway("uno does not answer")

    with pytest.raises(OriginAway):
        databases.alone("shop", away)
