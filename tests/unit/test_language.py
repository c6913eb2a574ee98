"""Every sentence that the product can say has its twin in Spanish, and is known again."""

from collections.abc import Iterator

import pytest

from blocks.errors import Refused
from tasks.language import catalogue
from tasks.language.catalogue import page, said, spoken
from tasks.language.template import Template
from tests.catalogue import sentences

TWINS = {
    "{place} does not answer": "{place} no responde",
    "{name}: {why}; press {button}": "{name}: {why}; pulse {button}",
    "in sync": "al día",
    "log of this run": "registro de esta ejecución",
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    catalogue._templates.cache_clear()
    monkeypatch.setattr(catalogue, "twins", lambda: TWINS)
    yield
    catalogue._templates.cache_clear()


@pytest.mark.usefixtures("few")
def test_a_sentence_is_said_with_the_same_names_and_figures() -> None:
    assert said("uno does not answer", "es") == "uno no responde"
    assert said("uno does not answer", "en") == "uno does not answer"
    assert said("vps_1: uno does not answer; press check", "es") == (
        "vps_1: uno no responde; pulse check"
    )
    assert said("in sync; 3.1 s", "es") == "al día; 3,1 s"
    assert said("ERROR: relation does not exist", "es") == "ERROR: relation does not exist"


@pytest.mark.usefixtures("few")
def test_an_error_is_said_with_its_hint() -> None:
    error = Refused("uno does not answer", hint="log of this run")
    assert spoken(error, "es") == "uno no responde\nSUGERENCIA: registro de esta ejecución"
    assert spoken(error, "en") == str(error)


@pytest.mark.usefixtures("few")
def test_a_page_keeps_its_form_and_its_blocks_of_code() -> None:
    text = "# in sync\n\n| log of this run | **0.6 s** |\n- uno does not answer\n```\nin sync\n```"
    assert page(text, "es") == (
        "# al día\n\n| registro de esta ejecución | **0,6 s** |\n- uno no responde\n"
        "```\nin sync\n```"
    )


def test_a_text_of_somebody_else_costs_no_more_than_its_length() -> None:
    """A glob that goes back and forth would let a customer keep the runner busy for hours."""
    template = Template(" ".join(f"a{{x{number}}}" for number in range(20)) + " end")
    assert template.read("a" * 20_000) is None


def test_every_sentence_has_its_twin_with_the_same_places() -> None:
    twins = catalogue.twins()
    bare = sorted(
        each.where + " " + each.text for each in sentences() if each.text.strip() not in twins
    )
    assert not bare, f"run python -m tests.catalogue, and say these in es.po: {bare[:20]}"
    for text, twin in twins.items():
        assert Template(text).names == Template(twin).names, text


def test_the_catalogue_holds_nothing_that_is_no_longer_said() -> None:
    assert set(catalogue.twins()) <= {each.text.strip() for each in sentences()}


def test_every_sentence_is_known_again_by_its_own_twin() -> None:
    for text, twin in catalogue.twins().items():
        template = Template(text)
        if template.names and template.is_known_again:
            values = {name: f"<{number}>" for number, name in enumerate(sorted(template.names))}
            made = template.make(values).strip()
            assert said(made, "es") != made or Template(twin).make(values).strip() == made, text
