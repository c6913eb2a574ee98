"""What a customer calls his things stays a name: in reports, in logs, in mails and in plans."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blocks.instance import OdooInstance
from flows.reconcile_filestore import reconcile_filestore
from tests.attacks import endless
from tests.attacks.oracle import Stage
from tests.oracles import Pair
from tests.stack import Stack

# Clears the screen, sets a title, begins the line anew, turns the text around, and is a link.
NAME = (
    "factura-4711\x1b[2J\x1b]0;title\x07\rall is well\b\b\u202e <img src=x onerror=alert(1)> "
    "[click](http://evil.example) `x` |a|b| ![i](http://evil.example/i) <script>1</script>"
)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# A mark after a backslash is a character to CommonMark, and nothing else.
ACTIVE = re.compile(r"(?<!\\)<(img|script)\b|(?<!\\)\]\(http", re.IGNORECASE)


@contextmanager
def document(pair: Pair, name: str) -> Iterator[None]:
    """Let the database name a document whose file is nowhere."""
    quoted = name.replace("'", "''")
    pair.at_origin(
        "INSERT INTO ir_attachment (name, type, store_fname, file_size) "
        f"VALUES ('{quoted}', 'binary', 'cd/{'cd' * 20}', 3)", "cliente1",
    )  # fmt: skip
    at = pair.at_origin("SELECT pg_current_wal_lsn()")
    while pair.at_recovery(f"SELECT pg_last_wal_replay_lsn() >= '{at}'") != "t":
        pass
    try:
        yield
    finally:
        pair.at_origin("DELETE FROM ir_attachment WHERE name LIKE 'factura-4711%'", "cliente1")


def test_the_name_of_a_document_is_text_in_a_report_and_nothing_else(
    stage: Stage, stack: Stack, blocks: dict[str, OdooInstance]
) -> None:
    with document(stage.attacker, NAME):
        report = reconcile_filestore(blocks["vps_uno"])
    for text in (report.markdown(), stack.artifact("reconcile-vps-uno")):
        assert "factura-4711" in text, "the document is named"
        assert not CONTROL.findall(text)
        assert not ACTIVE.findall(text)


def test_the_name_of_a_document_says_nothing_to_the_terminal_of_whoever_runs_this(
    stage: Stage, inventory_path: Path
) -> None:
    with document(stage.attacker, NAME):
        ran = endless.relevo(inventory_path, "run", "reconcile_filestore", "vps_uno", most=4 << 30)
    assert "factura-4711" in ran.said, ran.said
    assert not CONTROL.findall(ran.said)
