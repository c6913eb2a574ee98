"""Several set-ups at a time: each is a process of its own, and its failure is its own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import Unreachable
from blocks.instance import OdooInstance
from deployments import cli, many
from deployments.many import Ended
from tasks.doctor import examine

ROOT = Path(__file__).parents[2]
ONE, OTHER = "vps_clientes_1", "vps_clientes_2"


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "inventory.yaml"
    path.write_text((ROOT / "inventory.example.yaml").read_text())
    return str(path)


def test_each_line_is_told_and_the_failure_is_kept() -> None:
    told: list[str] = []
    words = "print('10:00:00 clone'); print('relevo: no room'); print('HINT: make some'); exit(3)"

    ended = many.follow("a", (sys.executable, "-c", words), lambda _, line: told.append(line))

    assert told == ["10:00:00 clone"]
    assert ended == Ended("a", 3, "no room\nHINT: make some")


def test_all_means_those_without_a_replica_and_one_failure_is_one_instances(
    inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def has_replica(instance: OdooInstance) -> bool:
        if instance.name == OTHER:
            raise Unreachable("respaldo did not answer")
        return False

    def follow(name: str, argv: tuple[str, ...], _: object) -> Ended:
        assert argv[-3:] == ("run", "replicate", name)
        ran.append(name)
        return Ended(name, 0)

    monkeypatch.setattr(examine, "has_replica", has_replica)
    monkeypatch.setattr(many, "follow", follow)

    code = cli.main(["--inventory", inventory, "replicate", "--all"])

    assert (code, ran) == (5, [ONE])
    said = capsys.readouterr().out
    assert "1 of 2 instances are well, 1 failed" in said
    assert f"{OTHER}: respaldo did not answer" in said


def test_a_program_reads_how_each_ended_and_steps_go_elsewhere(
    inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def follow(name: str, _: tuple[str, ...], tell: Callable[[str, str], None]) -> Ended:
        tell(name, "clone")
        return Ended(name, 3, "no room")

    monkeypatch.setattr(examine, "has_replica", lambda each: each.name == OTHER)
    monkeypatch.setattr(many, "follow", follow)

    assert cli.main(["--inventory", inventory, "replicate", "--all", "--json"]) == 3

    heard = capsys.readouterr()
    assert f"{ONE}: clone" in heard.err
    said = json.loads(heard.out)
    assert (said["version"], said["command"]) == (1, "replicate")
    assert said["instances"] == [
        {"instance": ONE, "outcome": "failed", "code": 3, "said": "no room"},
        {"instance": OTHER, "outcome": "there", "code": 0, "said": None},
    ]


@pytest.mark.parametrize("words", [(), (ONE, "--all"), (ONE, "--at-most", "0"), ("nobody",)])
def test_what_is_not_clear_is_refused_before_anything_begins(
    inventory: str, words: tuple[str, ...]
) -> None:
    assert cli.main(["--inventory", inventory, "replicate", *words]) == 3
