"""Each command block of the documents is executed by a test, or stands here with the reason."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.documents import ROOT, Block, blocks, in_table

SPANISH = {
    "README.md": "README.es.md",
    "docs/every-day.md": "docs/es/cada-dia.md",
    "docs/install.md": "docs/es/instalar.md",
    "docs/night.md": "docs/es/noche.md",
    "docs/server.md": "docs/es/servidor.md",
    "docs/synchronous.md": "docs/es/sincrono.md",
    "docs/take-out.md": "docs/es/retirar.md",
    "docs/undo.md": "docs/es/deshacer.md",
}
# Made by a program from what the code says, and held against it by its own tests; or results.
MADE = ("docs/reference/", "docs/benchmarks/")
# What no test executes: the page, how the block begins, and why.
NOT_EXECUTED = {
    ("README.md", "vps_clientes_1"): "a picture",
    ("README.md", "make demo"): "runs a lab and the whole of these tests, this one among them",
    ("docs/chaos.md", "make chaos"): "takes hours; test_85_chaos.py plays one story of it",
    ("docs/compare.md", "make compare"): "takes hours; the page is what came of it",
    ("docs/compare.md", ".venv/bin/python -m tests.compare"): "takes hours, as the line above it",
    ("docs/first-hour.md", "python -m tests.first_hour"): "times what test_15_documents.py types",
    ("docs/server.md", "apt install certbot"): "Let's Encrypt has to reach the name",
}
# How a test claims a block: `commands` takes all below a heading, `block` the one that begins so.
CLAIMS = {"commands": 2, "block": 3}


def pages() -> list[str]:
    found = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
    names = sorted(str(path.relative_to(ROOT)) for path in found)
    return [name for name in names if not name.startswith(MADE)]


@cache
def claimed() -> set[tuple[str, ...]]:
    """Every page and heading that a test names, with the beginning of a block where it says one."""
    return {claim for path in (ROOT / "tests").rglob("test_*.py") for claim in claims(path)}


def claims(path: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if len(words) == CLAIMS.get(node.func.id) and all(isinstance(w, str) for w in words):
                yield tuple(map(str, words))


def is_claimed(found: Block) -> bool:
    mine = [each for each in claimed() if each[:2] == (found.page, found.heading)]
    return any(found.text.startswith("".join(each[2:])) for each in mine)


def reason(found: Block) -> str:
    """Why nothing executes a block; the empty string when the list does not have it."""
    of_page = ((begins, why) for (page, begins), why in NOT_EXECUTED.items() if page == found.page)
    return next((why for begins, why in of_page if found.text.startswith(begins)), "")


@pytest.mark.parametrize("page", sorted({*pages()} - {*SPANISH.values()}))
def test_every_block_is_executed_by_a_test_or_stands_in_the_list_with_its_reason(page: str) -> None:
    for each in blocks(page):
        where = f"{each.page}, {each.heading}:\n{each.text}"
        assert is_claimed(each) or reason(each), f"no test executes a block of {where}"
        assert not (is_claimed(each) and reason(each)), f"it is executed after all: {where}"


def test_every_claim_and_every_reason_is_about_a_block_that_is_there() -> None:
    there = [each for page in pages() for each in blocks(page)]
    for page, heading, *begins in claimed():
        of_heading = [each.text for each in there if (each.page, each.heading) == (page, heading)]
        found = [text for text in of_heading if text.startswith("".join(begins))]
        assert found, (page, heading, begins)
        assert len(found) == 1 or not begins, f"{begins} begins several blocks of {page}"
    for page, first in NOT_EXECUTED:
        assert [each for each in there if each.page == page and each.text.startswith(first)]


def test_every_command_of_the_readme_s_table_is_one_of_the_night() -> None:
    night = in_table("docs/night.md", "relevo ")
    assert len(night) > 5
    assert {*in_table("README.md", "relevo ")} <= {*night}


def test_what_is_not_executed_is_known_to_make_at_least() -> None:
    lines = [line for page in pages() for each in blocks(page) for line in each.text.splitlines()]
    told = sorted({line.partition("#")[0].strip() for line in lines if line.startswith("make ")})
    assert len(told) >= 4
    for line in told:
        done = subprocess.run(
            [*line.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", SPANISH)
def test_a_page_in_spanish_has_the_same_commands(page: str) -> None:
    english, spanish = (list(map(bare, blocks(each))) for each in (page, SPANISH[page]))
    assert spanish == english
    assert in_table(SPANISH[page], "relevo ") == in_table(page, "relevo ")


def bare(found: Block) -> str:
    """A block without its comments, which are in the language of the page; so is what is shown."""
    if found.text.startswith("vps_clientes_1") or re.match(r"\d{4}-", found.text):
        return "a picture, or what Relevo prints"
    lines = (re.sub(r"(^|\s+)# .*", "", line) for line in found.text.splitlines())
    return "\n".join(line for line in lines if line.strip())
