"""A block in somebody else's file: put, replaced, taken out, and nothing else touched."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.host.managed_block import put, without

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
LINE = st.text(st.characters(codec="ascii", exclude_characters="\n\r\v\f\x1c\x1d\x1e"))
LINES = st.lists(LINE.filter(lambda line: "relevo" not in line), max_size=4)
FILES = LINES.map(lambda lines: "".join(f"{line}\n" for line in lines))
some = settings(max_examples=40, deadline=None)


@some
@given(text=FILES, name=NAMES, lines=FILES)
def test_what_was_put_can_be_taken_out_without_a_trace(text: str, name: str, lines: str) -> None:
    assert without(put(text, name=name, lines=lines), name=name) == text


@some
@given(text=FILES, name=NAMES, lines=FILES)
def test_putting_twice_is_putting_once(text: str, name: str, lines: str) -> None:
    once = put(text, name=name, lines=lines)

    assert put(once, name=name, lines=lines) == once


@some
@given(text=FILES, name=NAMES, former=FILES, lines=FILES)
def test_a_new_block_leaves_nothing_of_the_former(
    text: str, name: str, former: str, lines: str
) -> None:
    changed = put(put(text, name=name, lines=former), name=name, lines=lines)

    assert changed == put(text, name=name, lines=lines)


@some
@given(text=FILES, mine=NAMES, other=NAMES, lines=FILES)
def test_the_block_of_another_instance_is_never_touched(
    text: str, mine: str, other: str, lines: str
) -> None:
    if mine == other:
        other += "_1"
    theirs = put(text, name=other, lines=lines)

    assert without(theirs, name=mine) == theirs
    assert put(theirs, name=mine, lines="x\n").endswith(theirs)


def test_an_instance_whose_name_begins_like_another_is_another() -> None:
    text = put("", name="vps_11", lines="x\n")

    assert without(text, name="vps_1") == text


def test_a_block_is_found_where_somebody_moved_and_indented_it() -> None:
    text = "a\n  # relevo x: begin\r\nold\n  # relevo x: end\nb\n"

    assert without(text, name="x") == "a\nb\n"


def test_a_block_that_somebody_indented_is_replaced_and_not_doubled() -> None:
    text = "a\n  # relevo x: begin\nold\n  # relevo x: end\n"

    assert "old" not in put(text, name="x", lines="new")


def test_a_block_that_has_lost_its_end_swallows_nothing_of_others() -> None:
    text = "# relevo x: begin\nold\nssh-ed25519 AAAA operator\n"

    assert "operator" in put(text, name="x", lines="new")


def test_a_block_is_replaced_where_it_stood() -> None:
    text = "a\n# relevo x: begin\nold\n# relevo x: end\nb\n"

    assert put(text, name="x", lines="new") == text.replace("old", "new")


def test_a_file_without_a_last_newline_keeps_its_last_line() -> None:
    assert put("last", name="x", lines="new") == "# relevo x: begin\nnew\n# relevo x: end\nlast"
