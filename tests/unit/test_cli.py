"""What the words of a command line mean."""

from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.instance import OdooInstance
from deployments import apply, changes, cli, parser, server
from deployments.parser import PROCEDURES
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.authority.situation import Procedure
from tasks.board import board
from tasks.board.alarms import Measured
from tasks.board.words import Judged
from tasks.run.outcome import Outcome

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "procedure"),
    [
        (("plan", "failover", "vps_1"), "failover"),
        (("plan", "recovery-is-gone", "vps_1"), "recovery is gone"),
        (("plan", "switchover", "vps_1"), "switchover"),
        (("plan", "switchover", "vps_1", "--to", "origin"), "switchover home"),
    ],
)
def test_a_plan_is_of_the_direction_that_was_named(
    words: tuple[str, ...], procedure: Procedure
) -> None:
    given = parser.build().parse_args(words)

    assert cli._meant(given.procedure, given) == procedure


@pytest.mark.parametrize("command", PROCEDURES)
def test_each_change_of_place_has_a_command_that_asks_before_it_begins(command: str) -> None:
    given = parser.build().parse_args([command, "vps_1"])

    assert cli.COMMANDS[command] is cli._fail
    assert not given.yes
    assert hasattr(given, cli.OWN[command])


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        *((each, "would start at once, without a plan and an approval") for each in PROCEDURES),
        *((each, "nobody can be asked: this is not a terminal") for each in cli.UNSEEN),
    ],
)
def test_run_begins_no_change_of_place_without_being_told_that_nobody_is_asked(
    flow: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, name = tmp_path / "inventory.yaml", "vps_clientes_1"
    path.write_text((ROOT / "inventory.example.yaml").read_text())
    secrets = Secrets(tmp_path / "secrets.yaml")
    secrets.of(name)
    secrets.save()

    assert cli.main(["--inventory", str(path), "run", flow, name]) == 3
    told = capsys.readouterr().err
    assert said in told
    assert "--set decide=unattended" in told


@pytest.mark.parametrize(("words", "code"), [(("check",), 3), (("list",), 2)])
def test_an_inventory_that_cannot_be_read_is_not_known_to_nagios(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    assert cli.main(["--inventory", str(tmp_path), *words]) == code


def _ready(instances: list[OdooInstance]) -> list[Judged]:
    return [(Measured(each.name, 0), "green", []) for each in instances]


def _broken(instances: list[OdooInstance]) -> list[Judged]:
    raise KeyError(instances[0].name)


@pytest.mark.parametrize(
    ("measure", "said"), [(_ready, "is missing cannot be written"), (_broken, "KeyError")]
)
def test_whatever_goes_wrong_with_a_check_is_not_known_to_nagios(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measure: Callable[[list[OdooInstance]], list[Judged]],
    said: str,
) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text((ROOT / "inventory.example.yaml").read_text())
    monkeypatch.setattr(board, "measure", measure)
    textfile = str(tmp_path / "is missing" / "relevo.prom")

    code = cli.main(["--inventory", str(path), "check", "--textfile", textfile])

    assert code == 3
    assert said.replace("is missing", textfile) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--yes",), "a reason is needed to remove vps_clientes_1"),
        (("--yes", "--reason", " "), "a reason is needed to remove vps_clientes_1"),
    ],
)
def test_an_instance_is_taken_out_without_asking_only_for_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    path, name = tmp_path / "inventory.yaml", "vps_clientes_1"
    path.write_text((ROOT / "inventory.example.yaml").read_text())
    secrets = Secrets(tmp_path / "secrets.yaml")
    secrets.of(name)
    secrets.save()

    assert cli.main(["--inventory", str(path), "remove", name, *words]) == 3
    assert said in capsys.readouterr().err


def test_what_was_taken_out_already_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text((ROOT / "inventory.example.yaml").read_text())

    assert cli.main(["--inventory", str(path), "remove", "vps_clientes_1", "--plan-only"]) == 3

    said = capsys.readouterr().err
    assert "it was removed already, or never applied" in said
    assert "delete its entry from the inventory" in said


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (False, "removed later: deployment failover/x\nnothing to change (0 instances)\n"),
        (True, "removed later: deployment failover/x\n"),
    ],
)
def test_what_apply_only_reports_is_no_change(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    done: bool,
    said: str,
) -> None:
    found = [Outcome(done=done, sentence="removed later: deployment failover/x")]
    monkeypatch.setattr(apply, "apply", lambda *_, **__: found)
    monkeypatch.setattr(server, "reached", nullcontext)
    monkeypatch.setattr(changes, "keep_secrets", lambda *_, **__: None)

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        changes.apply_all(
            Namespace(prune=False), [], Secrets(tmp_path / "secrets.yaml"), Settings()
        )

    board = "the board: http://127.0.0.1:9/v2/artifacts/key/board\n"
    assert capsys.readouterr().out == said + board
