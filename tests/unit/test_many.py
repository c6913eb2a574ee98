"""Several set-ups at a time: each is a process of its own, and its failure is its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import Unreachable
from blocks.instance import OdooInstance
from blocks.version import VERSION
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


def test_a_child_that_is_killed_has_the_code_of_a_shell_and_may_say_any_bytes() -> None:
    told: list[str] = []
    words = (
        "import os, sys; sys.stdout.buffer.write(b'a\\xff\\n'); sys.stdout.flush(); "
        "os.kill(os.getpid(), 9)"
    )

    ended = many.follow("a", (sys.executable, "-c", words), lambda _, line: told.append(line))

    assert told == ["a\N{REPLACEMENT CHARACTER}"]
    assert ended == Ended("a", 137)


def test_a_child_is_ours_wherever_this_is_called(
    inventory: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments" / "__init__.py").touch()
    (tmp_path / "deployments" / "__main__.py").write_text("print('somebody else')")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    found = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def follow(name: str, argv: tuple[str, ...], _: object) -> Ended:
        ours = argv[: argv.index("deployments") + 1]
        done = subprocess.run(
            (*ours, "--version"), capture_output=True, text=True, check=False, env=found
        )
        said.append(done.stdout)
        return Ended(name, 0)

    monkeypatch.setattr(many, "follow", follow)

    assert cli.main(["--inventory", inventory, "replicate", ONE]) == 0
    assert said == [f"relevo {VERSION}\n"]


def test_who_reads_spanish_is_told_in_spanish_and_so_are_the_children(
    inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def follow(name: str, argv: tuple[str, ...], tell: Callable[[str, str], None]) -> Ended:
        assert argv[-5:] == ("--language", "es", "run", "replicate", name)
        tell(name, "10:00:00 forget vps_1 on due")
        return Ended(name, 0)

    monkeypatch.setattr(examine, "has_replica", lambda each: each.name == OTHER)
    monkeypatch.setattr(many, "follow", follow)

    cli.main(["--language", "es", "--inventory", inventory, "replicate", "--all"])

    said = capsys.readouterr().out
    assert f"{ONE}: 10:00:00 olvidar vps_1 en due\n" in said
    assert f"{OTHER}: ya tiene su réplica\n" in said


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
