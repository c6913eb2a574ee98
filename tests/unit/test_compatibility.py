"""Which differences between two servers are refused, and which are said."""

from dataclasses import replace

from tasks.readiness.compatibility_rules import Pair, Side, remarks, wrong

ONE = Side("uno", "13.9", "2.31", 0.0, 50 << 30, True, True)
TWO = replace(ONE, name="due")


def test_two_servers_alike_have_nothing_to_be_said() -> None:
    pair = Pair(ONE, TWO, data_bytes=1 << 30, kept_bytes=1 << 30)
    assert (wrong(pair), remarks(pair)) == ([], [])


def test_a_door_that_is_shut_in_one_direction_is_wrong() -> None:
    (said,) = wrong(Pair(replace(ONE, reaches=False), TWO))
    assert said.startswith("uno cannot reach PostgreSQL on due")


def test_an_extension_that_only_the_origin_has_is_wrong() -> None:
    assert wrong(Pair(ONE, TWO, lacking={"shop": ["postgis"], "other": []})) == [
        "shop uses postgis, which due lacks"
    ]


def test_clocks_are_said_first_and_wrong_when_they_lie_about_losses() -> None:
    assert remarks(Pair(ONE, replace(TWO, clock_ahead=-9.0))) == ["the clocks are 9 s apart"]
    assert "70 s apart" in wrong(Pair(ONE, replace(TWO, clock_ahead=70.0)))[0]


def test_other_sorting_counts_only_where_text_is_sorted_by_it() -> None:
    newer = replace(TWO, glibc="2.36")
    assert remarks(Pair(ONE, newer, sorted_by_glibc={"shop": []})) == []
    assert (
        "REINDEX after a move (shop: 1 "
        in remarks(Pair(ONE, newer, sorted_by_glibc={"shop": ["res_partner_name_index"]}))[0]
    )


def test_a_database_of_another_odoo_is_said() -> None:
    owners = {"shop": ["odoo"], "theirs": ["odoo2"], "metabase": []}

    (said,) = remarks(Pair(ONE, TWO, role="odoo", owners=owners))
    assert said.startswith("theirs belongs to odoo2, but Odoo of uno is odoo: it moves with ")
    assert remarks(Pair(ONE, TWO, owners=owners)) == []


def test_disks_that_could_not_hold_what_they_may_have_to_are_said() -> None:
    small = replace(ONE, free_bytes=1 << 30)
    said = remarks(Pair(small, TWO, data_bytes=2 << 30, kept_bytes=4 << 30))
    assert [each.split(" on ")[0].split(" of ")[0] for each in said] == [
        "a new clone would not fit beside the old one",
        "uno may keep 4.3 GB",
    ]


def test_wal_that_only_the_origin_would_archive_is_said() -> None:
    origin, both = replace(ONE, archives=True), replace(TWO, archives=True)
    assert remarks(Pair(origin, TWO)) == [
        "uno archives its WAL and due does not: while due serves, WAL is not archived"
    ]
    assert remarks(Pair(origin, both)) == remarks(Pair(ONE, both)) == []


def test_wal_on_another_disk_is_said_before_a_clone_takes_it_back() -> None:
    (said,) = remarks(Pair(replace(ONE, wal_is="link"), TWO))
    assert said.startswith("pg_wal on uno is a link: a failback that has to clone it again makes")


def test_wal_on_a_disk_that_is_mounted_in_the_data_directory_is_said() -> None:
    (said,) = remarks(Pair(replace(ONE, wal_is="mount"), TWO))
    assert said.startswith("pg_wal on uno is a mount point: it can follow and be rewound, but not")


def test_room_for_wal_is_measured_where_the_wal_is() -> None:
    (said,) = remarks(Pair(replace(ONE, free_for_wal=1 << 30), TWO, kept_bytes=4 << 30))
    assert said == "uno may keep 4.3 GB of WAL, but only 1.1 GB are free"
    roomy = replace(ONE, free_bytes=1 << 30, free_for_wal=9 << 30)
    assert remarks(Pair(roomy, TWO, kept_bytes=4 << 30)) == []


def test_a_release_that_nobody_has_tried_is_said() -> None:
    one, two = replace(ONE, postgres="19beta1"), replace(TWO, postgres="19beta1")
    (said,) = remarks(Pair(one, two))
    assert said.startswith("PostgreSQL 19 is newer than the releases with which Relevo was tried")
    assert "run drill" in said


def test_a_certificate_of_postgresql_that_ends_is_said_for_weeks_and_then_wrong() -> None:
    def of(days: int) -> Pair:
        return Pair(replace(ONE, certificate_days=days), TWO)

    assert (wrong(of(21)), remarks(of(21))) == ([], [])
    assert remarks(of(20))[0].startswith("the certificate of PostgreSQL on uno ends in 20 days: ")
    assert wrong(of(20)) == []
    assert wrong(of(2))[0].startswith("the certificate of PostgreSQL on uno ends in 2 days, and ")
    assert wrong(of(-1))[0].startswith("the certificate of PostgreSQL on uno has ended, and due ")
    assert wrong(Pair(replace(ONE, certificate_days=None), TWO)) == []


def test_a_certificate_of_which_the_other_side_was_not_told_is_wrong() -> None:
    (said,) = wrong(Pair(replace(ONE, certificate_known=False), TWO))
    assert said.startswith("the certificate of PostgreSQL on uno has changed, so the next ")


def test_another_icu_counts_only_where_text_is_sorted_by_it() -> None:
    assert remarks(Pair(ONE, TWO, sorted_by_icu={"shop": []})) == []
    (said,) = remarks(Pair(ONE, TWO, sorted_by_icu={"shop": ["res_partner_name_index"]}))
    assert said.startswith("due has another version of ICU than uno, which may sort text diff")
    assert said.endswith("REINDEX after a move (shop: 1 indexes of text)")


def test_a_library_that_only_the_origin_preloads_is_said() -> None:
    origin = replace(ONE, preloaded=("pg_stat_statements", "timescaledb"))
    (said,) = remarks(Pair(origin, replace(TWO, preloaded=("pg_stat_statements",))))
    assert said.startswith("PostgreSQL on uno preloads timescaledb and that on due does not: set ")
    assert remarks(Pair(ONE, replace(TWO, preloaded=("pg_stat_statements",)))) == []


def test_a_firewall_between_customers_and_the_recovery_host_is_said() -> None:
    (said,) = remarks(Pair(ONE, TWO, shut=("80", "443"), address="192.0.2.9"))
    assert said.startswith("uno cannot reach due at 192.0.2.9 port 80 and 443, where customers")
