"""How each command ends, for whoever calls it from a script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blocks.errors import Busy, CommandFailed, Refused, RelevoError, ShutOut, Unreachable
from deployments import cli, parser, parser_words
from deployments.__main__ import NOBODY_READS

ROOT = Path(__file__).parents[2]
NEEDED = {
    "history": ["vps_clientes_1"], "plan": ["failover", "vps_clientes_1"],
    "run": ["drill", "vps_clientes_1"], "completion": ["bash"], "replicate": ["--all"],
    **{name: ["vps_clientes_1"] for name in (*parser.PROCEDURES, "rotate-key", "remove")},
    "rename": ["vps_clientes_1", "vps_clientes_9"],
    "look": ["vps_clientes_1", "--at", "2026-11-24"],
    "bring-back": ["vps_clientes_1", "--at", "2026-11-24", "--database", "a", "--to", "a.zip"],
}  # fmt: skip


def words(command: str, folder: Path) -> list[str]:
    """A command line with all that its command needs."""
    path = folder / "inventory.yaml"
    path.write_text((ROOT / "inventory.example.yaml").read_text())
    return ["--inventory", str(path), command, *NEEDED.get(command, [])]


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandFailed("it said no"), 1), (Refused("it would lose"), 3), (Busy("locked"), 4),
        (Unreachable("silent"), 5), (ShutOut("no key"), 5),
    ],
)  # fmt: skip
def test_what_goes_wrong_decides_the_code_of_every_command(
    command: str, error: RelevoError, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setitem(cli.COMMANDS, command, fail)

    assert cli.main(words(command, tmp_path)) == cli.NOT_KNOWN.get(command, code)


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_an_inventory_that_is_not_there_is_bad_input(command: str, tmp_path: Path) -> None:
    given = words(command, tmp_path)
    (tmp_path / "inventory.yaml").unlink()

    assert cli.main(given) == cli.NOT_KNOWN.get(command, 2)


@pytest.mark.parametrize("given", [["nonsense"], ["list", "--nonsense"], []])
def test_a_command_line_that_is_not_understood_is_bad_input(given: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(given)
    assert ended.value.code == 2


def test_every_code_is_documented() -> None:
    said = parser_words.EPILOG
    for word in (*"012345", str(NOBODY_READS)):
        assert f" {word} " in said or f" {word}: " in said


@pytest.mark.parametrize("given", [["list"], ["list", "--json"], ["completion", "zsh"]])
def test_output_that_nobody_reads_to_its_end_is_no_traceback(
    given: list[str], tmp_path: Path
) -> None:
    inventory = words("list", tmp_path)[:2]
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT", "RELEVO"))}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "deployments", *inventory, *given],
            env={**kept, "PYTHONPATH": os.pathsep.join(sys.path)}, stdout=writing,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)

    assert done.returncode == NOBODY_READS, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("command", cli.NOT_KNOWN)
def test_an_answer_that_nobody_reads_is_not_said_to_be_unknown(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setitem(cli.COMMANDS, command, gone)

    with pytest.raises(BrokenPipeError):
        cli.main(words(command, tmp_path))


@pytest.mark.parametrize(("command", "code"), [("check", 3), ("doctor", 2)])
def test_what_goes_wrong_unforeseen_is_not_known(
    command: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> int:
        raise KeyError("of ours")

    monkeypatch.setitem(cli.COMMANDS, command, stumble)

    assert cli.main(words(command, tmp_path)) == code


def test_every_command_that_is_offered_is_done() -> None:
    offered = {*parser.commands(parser.build())}

    assert offered == {*cli.COMMANDS, "completion", "discover"}
