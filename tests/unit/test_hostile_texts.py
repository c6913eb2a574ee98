"""What a stranger has written is read in no more time than its length.

One process asks all customers' servers; who keeps it busy keeps all of them waiting, for a regular
expression lets no other thread work meanwhile.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from blocks.errors import Refused
from tasks.discovery import listening
from tasks.language import catalogue
from tasks.odoo import odoo_conf
from tasks.odoo.started import read
from tasks.postgres import auto_conf
from tasks.serving import nginx_read

OPTIONS = "[options]\n"
LINE = "# configuration file "
FAR, LEAST = 16, 0.01  # how much longer the second text is, and what can be measured at all
# By how much more time it may take: sixteen times the length, and 256 where it is the square.
MOST = 64.0
Reader = Callable[[int], object]


def included(many: int) -> object:
    """A configuration of many files, of which each include could mean any."""
    files = "".join(f"{LINE}/etc/nginx/{number}:\n" for number in range(many))
    return nginx_read.read(f"{LINE}/etc/nginx/nginx.conf:\n" + "include a*b;\n" * many + files)


def planned(many: int) -> object:
    return list(listening.planned("ExecStart=" + "argv[]=" * many))


READERS: dict[str, Reader] = {
    "a line of odoo.conf without a sign of equality": lambda many: odoo_conf.parse(
        f"{OPTIONS}a{' ' * many}b\n"
    ),
    "lines of odoo.conf that are none": lambda many: odoo_conf.parse(OPTIONS + "a\n" * many),
    "a unit that begins without an end": lambda many: read("ExecStart=" + "argv[]=" * many),
    "a service that begins without an end": planned,
    "the settings of both ends": lambda many: auto_conf.merged(
        "x\n" * many, own="port = 1\n" * many
    ),
    "a line of a page": lambda many: catalogue.page(f"a{' ' * many}b", "es"),
}


def seconds(reader: Reader, many: int) -> float:
    """The least of some tries, of this process alone."""
    found = []
    for _ in range(3):
        begun = time.process_time()
        with suppress(Refused, ValueError):
            reader(many)
        found.append(time.process_time() - begun)
    return min(found)


@pytest.mark.parametrize("what", READERS)
def test_a_text_of_a_stranger_takes_no_more_time_than_its_length(what: str) -> None:
    reader, many = READERS[what], 1000
    while (first := seconds(reader, many)) < LEAST and many < 1 << 20:
        many *= 2
    assert seconds(reader, FAR * many) < MOST * max(first, LEAST), f"{many} of {what}"


def test_includes_that_look_at_more_names_than_any_server_has_are_refused() -> None:
    with pytest.raises(ValueError, match="without an end"):
        included(2000)
    assert included(100) == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[options]\nworkers = 4\nnonsense\nmore nonsense\n", 3),
        ("workers = 4\n", 1),
        ("[options]\n= 4\n", 2),
        ("[options]\nworkers = 4\n\n# a\nx\n", 5),
    ],
)
def test_the_line_that_is_no_option_is_named(text: str, line: int) -> None:
    with pytest.raises(Refused, match=f"its line {line} is neither"):
        odoo_conf.parse(text)


def test_options_are_read_as_odoo_reads_them() -> None:
    text = "[options]\na = 1\n b2\nC : x = y\n d=\n; e = 1\nf = 1 ; 2\n[other]\na = 3\n"
    assert odoo_conf.parse(text) == {"a": "1\nb2", "c": "x = y\nd=", "f": "1 ; 2"}
