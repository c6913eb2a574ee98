"""The pages of docs/reference are what the code says, and leave nothing unsaid."""

import argparse

import pytest

from deployments import cli, parser, reference


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_each_page_is_fresh(name: str) -> None:
    kept = (reference.REFERENCE / name).read_text()
    assert kept == reference.PAGES[name](), "run python -m deployments.reference"


def test_no_page_is_kept_that_nothing_makes() -> None:
    assert {each.name for each in reference.REFERENCE.iterdir()} == {*reference.PAGES}


@pytest.mark.parametrize("name", ["cli.md", "inventory.md"])
def test_each_argument_and_each_field_has_a_meaning(name: str) -> None:
    page = reference.PAGES[name]()
    assert [line for line in page.splitlines() if line.endswith("|  |")] == []


def test_every_command_and_every_flow_stands_on_its_page() -> None:
    commands, stories = reference.command(), reference.flows()
    assert [name for name in cli.COMMANDS if f"## relevo {name}\n" not in commands] == []
    assert stories.count("\n## ") == len(parser.FLOWS) + 1
    assert "| `origin_is_down` | true or false | `false` | You have confirmed" in stories


def test_what_may_be_left_out_stands_in_brackets() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("instance", nargs="?", help="default: all | none")
    words.add_argument("--to", choices=("a", "b"), default="a", help="where")
    assert list(reference._words(words)) == ["[INSTANCE]", "[--to TO]"]
    assert list(reference._options(words))[2:] == [
        r"| `INSTANCE` | Default: all \| none. |",
        "| `--to TO` | Where. One of `a`, `b`. Default: `a`. |",
    ]
