"""What a customer or a server names does nothing to a terminal, a page, a table or a command."""

import csv
import io
import logging
import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import Refused
from blocks.plain import HIDDEN, PLAINLY, cell, markdown, plain
from blocks.shell import Completed
from tasks.board import table, words
from tasks.board.alarms import Measured
from tasks.build.freeze import left_out, missing, parse
from tasks.logins import ssh
from tasks.odoo import odoo_conf
from tasks.postgres.auto_conf import merged
from tasks.programs.spreadsheet import tame
from tasks.run.document import Document
from tasks.run.moments import Clock
from tasks.run.report import Report, Strong, timeline
from tasks.standby.divergence import Divergence, Table

EVIL = (
    "\x1b[2J\x1b]0;owned\x07", "a\r\nroot@due # rm -rf /", "\u202egpj.exe", "\u2066a\u2069",
    "<img src=x onerror=alert(1)>", "[pay here](http://evil.example)", "![x](http://evil/a.png)",
    "`code`", "a | b | c", "http://evil.example/x", "www.evil.example", "me@evil.example",
    "# a title", "- a list", "1. a list", "&#x202e;", "\u2028line", "\x00nul", "\udc80half",
    "\\| sly", "\\", "\\\\|", "*bold* _it_ ~~no~~",
)  # fmt: skip
ANY = st.text(alphabet=st.characters(), max_size=200)


@given(ANY)
def test_what_is_shown_hides_nothing_and_is_not_shown_twice(text: str) -> None:
    for shown in (plain(text), plain(text, lines=True).replace("\n", "").replace("\t", "")):
        assert not {char for char in shown if unicodedata.category(char) in HIDDEN}
        shown.encode()
    assert plain(plain(text)) == plain(text)
    assert plain(plain(text, lines=True), lines=True) == plain(text, lines=True)
    assert plain(plain(text * 20, longest=100), longest=100) == plain(text * 20, longest=100)


@given(ANY)
def test_a_page_escapes_once_and_leaves_no_mark_to_itself(text: str) -> None:
    once = markdown(text)
    assert markdown(once) == once
    bare, sly = once.replace("\\\\", ""), 0
    for index, char in enumerate(bare):
        if char in "`*[]<>|~&@":
            assert index, once
            sly += bare[index - 1] != "\\"
    assert not sly, once
    assert "://" not in once
    assert "\n" not in once


@given(ANY, st.integers(-(10**9), 10**9))
def test_a_table_has_no_formula_and_keeps_its_numbers(text: str, number: int) -> None:
    assert cell(cell(text)) == cell(text)
    assert cell(str(number)) == str(number)
    assert not cell(text).startswith(("@", "\t", "\r"))
    assert not cell(f"={text}").startswith("=")


@pytest.mark.parametrize("evil", EVIL)
def test_a_report_shows_a_document_of_any_name_as_one_row_of_words(evil: str) -> None:
    document = Document(evil, 7, evil, evil, "2026-01-01", "ab/cd", evil)
    report = Report(evil, {"lost": evil, "why": Strong(evil)}, [document])
    page = report.markdown() + timeline([(evil, 1.0)])
    rows = page.split("\n")
    assert len(rows) == len(
        Report("t", {"lost": "", "why": ""}, [document]).markdown().split("\n")
    ) + (len(timeline([("x", 1.0)]).split("\n")) - 1)
    row = next(each for each in rows if "| 7 |" in each)
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 8
    assert "\x1b" not in page
    assert "\r" not in page
    assert "<img" not in page.replace("\\<img", "")
    assert str(document) == plain(str(document))
    left = Document(evil, 0, "", "", "", "", why=evil, kind="not copied")
    page = Report("t", {}, [document, left]).markdown()
    assert page.count("## 1 documents whose file is missing") == 1
    assert len([each for each in page.split("\n") if each.startswith("- ")]) == 1
    assert str(left) == plain(str(left))


@pytest.mark.parametrize("evil", EVIL)
def test_errors_logs_and_boards_show_what_they_quote(
    evil: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = Refused(f"role {evil}", hint=f"drop {evil}")
    assert str(error) == plain(str(error), lines=True)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    done = Completed(("x",), 1, "", f"FATAL {evil}\n" * 20)
    assert done.tail == plain(done.tail, lines=True)
    log = logging.getLogger("relevo")
    log.addFilter(PLAINLY)
    with caplog.at_level("INFO", "relevo"):
        log.info("the database %s", evil)
    assert caplog.messages[-1] == plain(f"the database {evil}", lines=True)
    rows: list[words.Judged] = [(Measured("vps_1", 0), "red", [evil])]
    line = words.nagios(rows)[1]
    assert "\n" not in line
    assert "|" not in line
    cells = [line for line in table.page(rows, links={}, clock=Clock()).split("\n") if "|" in line]
    assert len(cells) == 3


@pytest.mark.parametrize("evil", EVIL)
def test_what_only_one_server_had_is_a_page_of_words(evil: str) -> None:
    found = Divergence("0/3", 1, evil, evil, (Table(evil, evil, evil, 1, 1, 0, 0),))
    page = found.markdown("t", where="/q")
    assert "\x1b" not in page
    assert [row.count("|") - row.count("\\|") for row in page.split("\n") if " | 1 | " in row] == [
        6
    ]


@given(st.lists(st.lists(st.text(alphabet='ab=+-@"\t,\n1', min_size=1), min_size=2, max_size=2)))
def test_an_export_has_the_same_cells_and_no_formula(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    tamed = list(csv.reader(io.StringIO(tame(out.getvalue()), newline="")))
    assert [[cell(each).removeprefix("'") for each in row] for row in rows] == [
        [each.removeprefix("'") for each in row] for row in tamed
    ]
    for row in tamed:
        for each in row:
            assert cell(each) == each


FROZEN = """\
# Editable install with no version control (helpdesk-tools==1.2)
-e /opt/odoo/tools
# Editable Git install with no remote (odoo==16.0)
-e/tmp/evil==1
--index-url=http://evil.example==1
http://evil.example/x.whl#egg=x==1
-r/etc/passwd==2
a==1==2
b @ file:///tmp/b
c == 1
d==-rf
lxml==4.9.2
"""


def test_of_what_pip_says_only_a_name_and_a_version_become_words_of_a_command() -> None:
    assert parse(FROZEN) == {"lxml": "4.9.2"}
    assert missing(FROZEN, "", exact=True) == ["lxml==4.9.2"]
    assert left_out(FROZEN) == [
        "-e /opt/odoo/tools", "-e/tmp/evil==1", "--index-url=http://evil.example==1",
        "http://evil.example/x.whl#egg=x==1", "-r/etc/passwd==2", "a==1==2", "b @ file:///tmp/b",
        "c == 1", "d==-rf",
    ]  # fmt: skip


@given(ANY)
def test_no_line_of_pip_s_is_an_option(text: str) -> None:
    for name, version in parse(f"{text}\n{text}==1\n-{text}==1").items():
        assert not name.startswith("-")
        assert not version.startswith("-")
        assert not set(f"{name}{version}") & set(" /:@#;\t\r\n")


KEY = "ssh-ed25519 " + "A" * 68


@pytest.mark.parametrize(
    "said",
    [
        f"{KEY}\n{KEY}\n", f"{KEY} me\rssh-ed25519 BB\n", f'command="id" {KEY}', "", "ssh-ed25519",
        f"{KEY}\n# relevo vps_1: end\n{KEY}\n",
    ],
)  # fmt: skip
def test_a_public_key_of_a_peer_is_one_key_and_no_second_line(said: str) -> None:
    """Root at an origin once wrote two, and the second opened the recovery host to it."""
    with pytest.raises(Refused, match="what is in the place of a public key on uno is not one"):
        ssh.public_key(said, where="uno")
    assert ssh.public_key(f"{KEY} relevo guard of vps_1\n", where="uno") == KEY


@pytest.mark.parametrize(
    "role",
    [
        "odoo\n  host all all 0.0.0.0/0 trust", "postgres", "ALL", "+staff", "@/tmp/x", "/^.*$",
        "a b", 'o"x', "pg_monitor", "a,postgres",
    ],
)  # fmt: skip
def test_a_role_of_odoo_conf_is_one_role_and_no_line_of_pg_hba(role: str) -> None:
    """It stands in pg_hba.conf and pg_ident.conf of the recovery host."""
    with pytest.raises(Refused, match="which Relevo does not allow for Odoo"):
        odoo_conf.database_role(f"[options]\ndb_user = {role}\n", default="odoo")


@pytest.mark.parametrize(
    "line",
    [
        "restore_command 'id'", "restore_command = 'id'", "ssl_passphrase_command = 'id'",
        "ARCHIVE_CLEANUP_COMMAND='id'", "include_if_exists '/tmp/x'", "include = '/tmp/x'",
        "session_preload_libraries = '/tmp/x'", "dynamic_library_path = '/tmp'",
        "jit_provider = 'x'", "work_mem = '8MB' restore_command = 'id'",
        "recovery_end_command\t'id'",
    ],
)  # fmt: skip
def test_a_copy_brings_no_setting_that_runs_a_program_at_its_standby(line: str) -> None:
    """A superuser of the origin writes that file, and postgres at the recovery host reads it."""
    assert merged(f"work_mem = '8MB'\n{line}\n") == "work_mem = '8MB'\n"
