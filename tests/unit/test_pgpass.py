"""The password file, read back by libpq itself."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import pq

from tasks.logins.conninfo import render
from tasks.logins.pgpass import Entry, merge

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
HOST = "127.0.0.1"
some = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def found_by_libpq(file: Path, *, port: int, user: str) -> str:
    """Ask libpq which password it would send; port 1 answers nobody."""
    asked = render(host=HOST, port=port, user=user, dbname="x", passfile=str(file))
    connection = pq.PGconn.connect_start(asked.encode())
    try:
        return connection.password.decode()
    finally:
        connection.finish()


def write(folder: Path, text: str) -> Path:
    file = folder / "pgpass"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


@some
@given(password=PRINTABLE)
def test_libpq_reads_the_very_password_that_was_written(tmp_path: Path, password: str) -> None:
    file = write(tmp_path, merge("", [Entry(HOST, 1, "*", "replica", password)]))

    assert found_by_libpq(file, port=1, user="replica") == password


@some
@given(user=PRINTABLE.filter(lambda user: user != "*"))
def test_libpq_finds_a_user_whatever_its_name(tmp_path: Path, user: str) -> None:
    file = write(tmp_path, merge("*:*:*:*:wrong\n", [Entry(HOST, 1, "*", user, "right")]))

    assert found_by_libpq(file, port=1, user=user) == "right"


def test_a_new_entry_stands_before_those_of_others_because_the_first_one_counts(
    tmp_path: Path,
) -> None:
    file = write(tmp_path, merge("*:*:*:*:wrong\n", [Entry(HOST, 1, "*", "r", "right")]))

    assert found_by_libpq(file, port=1, user="r") == "right"
    assert found_by_libpq(file, port=2, user="r") == "wrong"


def test_an_entry_that_somebody_s_wildcard_shadows_comes_to_the_front(tmp_path: Path) -> None:
    shadowed = f"*:*:*:*:wrong\n{HOST}:1:*:r:old\n"
    file = write(tmp_path, merge(shadowed, [Entry(HOST, 1, "*", "r", "right")]))

    assert found_by_libpq(file, port=1, user="r") == "right"


def test_a_former_password_is_replaced_where_it_stood() -> None:
    text = merge("a:1:*:u:p\nh:1:*:r:old\n", [Entry("h", 1, "*", "r", "new")])

    assert text == "a:1:*:u:p\nh:1:*:r:new\n"


@some
@given(passwords=st.lists(PRINTABLE, min_size=1, max_size=3), others=st.lists(PRINTABLE))
def test_merging_replaces_our_lines_and_keeps_those_of_others(
    passwords: list[str], others: list[str]
) -> None:
    theirs = "".join(f"elsewhere:5432:*:u:{each}\n" for each in others)
    entries = [Entry(f"10.0.0.{n}", 5432, "*", "r", each) for n, each in enumerate(passwords)]

    once = merge(theirs, entries)

    assert once.endswith(theirs)
    assert len(once.splitlines()) == len(others) + len(passwords)
    assert merge(once, entries) == once


def test_a_host_that_begins_like_another_is_another() -> None:
    other = "10.0.0.11:5432:*:r:theirs\n"

    assert merge(other, [Entry("10.0.0.1", 5432, "*", "r", "p")]).endswith(other)


def test_an_address_of_ip_version_6_is_escaped() -> None:
    assert merge("", [Entry("2001:db8::1", 1, "*", "r", "a:b\\c")]) == (
        "2001\\:db8\\:\\:1:1:*:r:a\\:b\\\\c\n"
    )
