"""The file for Prometheus: a check of one instance leaves the figures of all others."""

import json
from pathlib import Path

import pytest

from blocks.instance import OdooInstance
from deployments import cli, textfile
from deployments.secrets import Secrets
from tasks.board import board, words
from tasks.board.alarms import Colour, Measured
from tasks.board.words import Judged
from tasks.plan import pages

ROOT = Path(__file__).parents[2]
ONE, TWO = "vps_clientes_1", "vps_clientes_2"


def rows(*names: str, colour: Colour = "green", lag: int | None = None) -> list[Judged]:
    return [(Measured(name, 9.0, roles="r", lag_bytes=lag), colour, []) for name in names]


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line of a check on which both instances are green."""
    path = tmp_path / "inventory.yaml"
    path.write_text((ROOT / "inventory.example.yaml").read_text())
    secrets = Secrets(tmp_path / "secrets.yaml")
    for name in (ONE, TWO):
        secrets.of(name)
    secrets.save()

    def measure(instances: list[OdooInstance]) -> list[Judged]:
        return rows(*(each.name for each in instances))

    monkeypatch.setattr(board, "measure", measure)
    monkeypatch.setattr(pages, "refresh", lambda _: None)
    return ["--inventory", str(path), "check", "--textfile", str(tmp_path / "relevo.prom")]


def test_a_check_of_one_keeps_the_figures_of_the_others(given: list[str], tmp_path: Path) -> None:
    file = tmp_path / "relevo.prom"
    file.write_text(words.metrics(rows(ONE, TWO, "gone", colour="red", lag=5)))

    assert cli.main([*given, ONE]) == 0

    text = file.read_text()
    assert f'relevo_ready{{instance="{ONE}"}} 2\nrelevo_ready{{instance="{TWO}"}} 0\n' in text
    assert f'relevo_lag_bytes{{instance="{TWO}"}} 5\n' in text
    assert f'relevo_lag_bytes{{instance="{ONE}"}}' not in text, "it was not measured this time"
    assert "gone" not in text, "the inventory has it no more"
    assert text.count("# TYPE relevo_ready gauge") == 1


def test_a_check_of_all_keeps_nothing_of_before(given: list[str], tmp_path: Path) -> None:
    file = tmp_path / "relevo.prom"
    file.write_text(words.metrics(rows(ONE, TWO, "gone", colour="red", lag=5)))

    assert cli.main(given) == 0

    assert file.read_text() == words.metrics(rows(ONE, TWO))


def test_a_check_for_programs_prints_one_document(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*given, "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert (said["command"], said["colour"]) == ("check", "green")
    assert [each["instance"] for each in said["instances"]] == [ONE, TWO]
    assert (tmp_path / "relevo.prom").read_text() == words.metrics(rows(ONE, TWO))


@pytest.mark.parametrize("former", ["", "nonsense\n\x00", "# HELP relevo_ready x\n"])
def test_a_file_that_holds_none_of_it_keeps_nothing(former: str, tmp_path: Path) -> None:
    file, fresh = tmp_path / "relevo.prom", words.metrics(rows(ONE))
    file.write_text(former)

    textfile.leave(file, fresh, keep={TWO})

    assert file.read_text() == fresh
