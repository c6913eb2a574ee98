"""Every sentence that the product can say has its twin in Spanish, and is known again."""

from collections.abc import Iterator

import pytest

from blocks.errors import Refused
from blocks.plain import markdown
from tasks.language import catalogue
from tasks.language.catalogue import page, spoken, translated
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
    catalogue.forget()
    monkeypatch.setattr(catalogue, "twins", lambda: TWINS)
    yield
    catalogue.forget()


@pytest.mark.usefixtures("few")
def test_a_sentence_is_said_with_the_same_names_and_figures() -> None:
    assert translated("uno does not answer", "es") == "uno no responde"
    assert translated("uno does not answer", "en") == "uno does not answer"
    assert translated("vps_1: uno does not answer; press check", "es") == (
        "vps_1: uno no responde; pulse check"
    )
    assert translated("in sync; 3.1 s", "es") == "al día; 3,1 s"
    assert translated("ERROR: relation does not exist", "es") == "ERROR: relation does not exist"


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


NAMES = ("customers", "clone", "primary", "recovery", "files", "16.4", "2024.05", "a, b", "guard")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_a_name_wherever_it_stands(name: str) -> None:
    """An operator must read the database, the host and the instance that are meant."""
    assert translated(f"{name} does not answer", "es") == f"{name} no responde"
    assert translated(f"Type {name} to begin the failover: ", "es").startswith(f"Escriba {name} ")
    documents = f"| database | id | name |\n|---|---|---|\n| {name} | 1 | {name} |"
    assert page(documents, "es").splitlines()[2] == f"| {name} | 1 | {name} |"
    assert page(f"| | |\n|---|---|\n| domains | {name} |", "es").endswith(f"| dominios | {name} |")


def test_a_stroke_and_a_star_in_a_name_stay_what_they_were() -> None:
    fact = markdown("not known: <b> |")
    said_so = page(f"| | |\n|---|---|\n| lag | {fact} |", "es").splitlines()[2]
    assert said_so == f"| retraso | {markdown('se desconoce: <b> |')} |"
    strong = page(f"**{markdown('nobody uses slot a@b on due')}**", "es")
    assert strong.startswith("**")
    assert "\\*" not in strong


def test_a_long_text_of_somebody_else_is_left_as_it_is() -> None:
    hostile = "a. b; c, " * 1000
    assert page(hostile, "es") == hostile


def test_every_sentence_has_its_twin_with_the_same_places() -> None:
    twins = catalogue.twins()
    bare = [
        f"{each.where} {each.text}"
        for each in sentences()
        if each.text.strip() not in (catalogue.labels() if each.context else twins)
    ]
    assert not bare, f"run python -m tests.catalogue, and say these in es.po: {bare[:20]}"
    for text, twin in twins.items():
        assert Template(text).names == Template(twin).names, text


def test_the_catalogue_holds_nothing_that_is_no_longer_said() -> None:
    known = {each.text.strip() for each in sentences()}
    assert set(catalogue.twins()) | set(catalogue.labels()) <= known


def test_every_sentence_is_known_again_by_a_twin() -> None:
    """Two sentences may read the same text; the twin of one of them is what is said."""
    pairs = [(Template(text), Template(twin)) for text, twin in catalogue.twins().items()]
    for template, _ in pairs:
        if template.names and template.is_known_again:
            values = {name: f"<{number}>" for number, name in enumerate(sorted(template.names))}
            made = template.make(values)
            read = [(each.read(made), twin) for each, twin in pairs if each.is_known_again]
            assert translated(made, "es") in {twin.make(found) for found, twin in read if found}, (
                made
            )


def test_what_is_put_together_of_sentences_is_said_to_its_end() -> None:
    whole = "{}: 9 files whole up to 0/51, 53 s ago".format
    twin = "{}: 9 archivos completos hasta 0/51, hace 53 s".format
    assert translated(f"{whole('a')}; {whole('b')}", "es") == f"{twin('a')}; {twin('b')}"
    way = "rewind: it wrote after the fork at 0/50"
    assert translated(way, "es") == "rewind: escribió después de la bifurcación en 0/50"
