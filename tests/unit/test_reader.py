"""Whoever reads Spanish reads Spanish: at a terminal, in a form, in a mail, on the board."""

from pathlib import Path
from uuid import uuid4

import pytest

from blocks.errors import Refused
from blocks.names import Language
from deployments import automations, cli
from tasks.language.reader import read_in
from tasks.orchestrator import form as forms
from tasks.run import question, terminal
from tasks.run.question import Question

ROOT = Path(__file__).parents[2]
ASKED = Question("failover", "vps_1", origin="uno", asks_whether_down=True, summary="# A plan")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text("language: es\n" + (ROOT / "inventory.example.yaml").read_text())
    return path


def test_a_shell_speaks_as_it_is_told_or_as_the_inventory_says(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--inventory", str(inventory), "plan", "failover", "nobody"]

    assert cli.main(words) == 3
    assert "no hay ninguna instancia nobody" in capsys.readouterr().err
    assert cli.main(["--language", "en", *words]) == 3
    assert "there is no instance nobody" in capsys.readouterr().err
    monkeypatch.setenv("RELEVO_LANGUAGE", "en")
    assert cli.main(words) == 3
    assert "there is no instance nobody" in capsys.readouterr().err


def test_the_help_is_said_in_spanish(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--language", "es", "status", "--help"])
    assert "en qué idioma hablar" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("language", "word"), [("en", "yes"), ("es", "sí"), ("es", "si")])
def test_a_terminal_takes_the_yes_of_the_language_that_it_asked_in(
    monkeypatch: pytest.MonkeyPatch, language: Language, word: str
) -> None:
    answers = iter([word, "Ana", "a fire", "vps_1"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))

    with read_in(language), terminal.without_server():
        assert question.ask(ASKED).origin_is_down


def test_a_yes_in_another_language_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "yes")

    with read_in("es"), terminal.without_server(), pytest.raises(Refused, match="not confirmed"):
        question.ask(ASKED)


def test_a_form_asks_in_spanish() -> None:
    with read_in("es"):
        made = forms.form(ASKED, wrong="the name typed is not vps_1")
    fields = made.model_json_schema()["properties"]

    titles = {name: each["title"] for name, each in fields.items()}
    assert "está caído y seguirá caído" in titles.pop("origin_is_down")
    assert titles == {
        "approved_by": "Aprobado por", "reason": "Motivo", "instance_name": "Escriba vps_1",
    }  # fmt: skip
    assert "No se ha cambiado nada" in str(made._description)


def test_a_mail_is_written_in_spanish() -> None:
    with read_in("es"):
        told = list(automations._told([], [str(uuid4())]))
    bodies = [action.body for each in told for action in each.actions]  # type: ignore[union-attr]

    assert all("El panel: " in body for body in bodies)
    assert any("Qué puede haber fallado" in body for body in bodies)
