"""What pages say of the tests is so: those that they name exist, and so does what was drilled."""

import re
from pathlib import Path

import pytest

from tests.lab.image import GENERATIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["threat-model.md", "drills.md"])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / page).read_text()))
    found = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert named <= found
    assert len(named) > 10


@pytest.mark.parametrize("page", ["compatibility.md", "es/compatibilidad.md"])
def test_the_page_of_versions_names_what_the_lab_boots_and_what_is_installed(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    for made in GENERATIONS.values():
        (row,) = re.findall(rf"^\| `{made.suite}` .*$", text, re.MULTILINE)
        assert re.match(rf"\| `{made.suite}` \| \d+ \| {made.postgres}\b.* \| {made.odoo},", row)
    (locked,) = re.findall(
        r"^prefect==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert f"`requirements.lock`, {'with' if page[0] == 'c' else 'con'} Prefect {locked}" in text
