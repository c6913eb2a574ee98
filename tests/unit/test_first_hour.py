"""What a first hour costs is counted in the documents, and the page has the figures of now."""

import subprocess

import pytest

from tests import first_hour


def test_the_page_has_the_figures_of_the_documents() -> None:
    text = first_hour.PAGE.read_text()

    assert first_hour.page(text) == text, "run python -m tests.first_hour"


def test_a_first_hour_takes_fewer_keystrokes_and_facts_than_before() -> None:
    old, new = first_hour.before(), first_hour.after()

    assert sum(each.keys for each in new) < sum(each.keys for each in old)
    assert sum(each.facts for each in new) == 0


def test_the_documents_of_before_are_those_of_that_commit() -> None:
    def at(path: str) -> str:
        argv = ("git", "-C", str(first_hour.ROOT), "show", f"34ee633:{path}")
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip("this clone has no history")
        return done.stdout

    kept = (first_hour.KEPT / "readme.before.md").read_text().split("\n\n", 1)[1]
    assert kept.strip() in at("README.md")
    assert (first_hour.KEPT / "inventory.before.yaml").read_text() == at("inventory.example.yaml")
