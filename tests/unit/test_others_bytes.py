"""Bytes of others are kept as they are in whatever file is edited, also where they are no UTF-8."""

from pathlib import PurePosixPath

import pytest

from blocks.plain import plain
from tasks.host import managed_block
from tasks.host.files import SURROGATES
from tasks.logins import pgpass
from tasks.odoo import odoo_conf
from tasks.postgres import auto_conf

# Latin-1, a carriage return, a form feed, and what Unicode takes for an end of a line.
ODD = b"# conexi\xf3n\r\n# a\x0cb\x85c\xc2\x85d\xe2\x80\xa8e \xff\n"
TEXT = ODD.decode(errors=SURROGATES)


def _bytes(text: str) -> bytes:
    return text.encode(errors=SURROGATES)


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(
            managed_block.without(managed_block.put(TEXT, name="x", lines="a\n"), name="x"),
            id="block",
        ),
        pytest.param(managed_block.put(TEXT, name="x", lines="a\n"), id="new_block"),
        pytest.param(auto_conf.follow(TEXT, conninfo="", slot="s"), id="auto_conf"),
        pytest.param(auto_conf.without(TEXT, ["max_connections"]), id="auto_conf_limits"),
        pytest.param(
            pgpass.merge(TEXT, (pgpass.Entry("10.0.0.1", 5432, "replication", "r", "p"),)),
            id="pgpass",
        ),
        pytest.param(pgpass.without(TEXT, "10.0.0.1:5432:"), id="pgpass_without"),
    ],
)
def test_what_is_around_our_own_lines_stays_byte_for_byte(edited: str) -> None:
    assert ODD in _bytes(edited)


def test_an_odoo_conf_with_such_bytes_is_rendered_with_its_values_as_they_are() -> None:
    text = b"[options]\n# conexi\xf3n\nreport_title = Fundaci\xf3n\n".decode(errors=SURROGATES)

    made = odoo_conf.render(
        text, copied=lambda path: path, data_dir=PurePosixPath("/d"), db_port=1, db_user="odoo",
        http_port=2, longpolling_port=3,
    )  # fmt: skip

    assert b"report_title = Fundaci\xf3n\n" in _bytes(made)


def test_what_is_said_of_such_a_file_can_be_shown() -> None:
    plain(TEXT, lines=True).encode()
