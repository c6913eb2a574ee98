"""Break glass needs nothing of Prefect: it loads none of it, and works where Prefect is broken."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from blocks.errors import Refused
from deployments import cli, parser
from deployments.__main__ import WITH_PREFECT, command
from deployments.secrets import Secrets
from tasks.orchestrator.page import Page
from tasks.run import question
from tasks.run.desk import desk
from tasks.run.question import Question
from tasks.run.terminal import Terminal, without_server
from tests.broken import OF_PREFECT, broken

ROOT = Path(__file__).parents[2]
FLOWS = f"""
import importlib, sys
for flow in {parser.FLOWS}:
    importlib.import_module(f"flows.{{flow}}")
    found = sorted(name for name in sys.modules if name.split(".")[0] in {OF_PREFECT})
    if found:
        sys.exit(f"{{flow}} has loaded {{found[0]}}")
"""
COMMAND = f"""
import atexit, os, sys
from deployments.__main__ import main

def judge():
    found = sorted(name for name in sys.modules if name.split(".")[0] in {OF_PREFECT})
    print("loaded:", *found[:5], file=sys.stderr)

atexit.register(judge)
sys.exit(main())
"""
INVENTORY = """\
recovery: {name: due, address: 127.0.0.1, port: 1, directory: /srv/relevo}
instances:
  vps_1:
    host: {name: uno, address: 127.0.0.2, port: 1}
    postgres: {version: 15, name: main, port: 5432}
    odoo: {unit: odoo.service, user: odoo, config: /etc/odoo.conf, data_dir: /var/odoo}
    recovery: {postgres_port: 5433, http_port: 8169, longpolling_port: 8172}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """One instance, on two servers that do not answer."""
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    secrets = Secrets(tmp_path / "secrets.yaml")
    secrets.of("vps_1")
    secrets.save()
    return path


def _python(words: Sequence[str], folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run Python as an operator's shell does, which knows of no server."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT", "RELEVO"))}
    env = {**kept, "PYTHONPATH": str(ROOT), "RELEVO_LOG_DIR": str(folder / "runs"), **more}
    return subprocess.run(
        [sys.executable, *words], env=env, cwd=folder, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


FORCED = ("failover", "vps_1", "--yes", "--origin-is-down", "--reason", "fire")
WITHOUT = [
    (("--help",), 0), (("list",), 0), (("status",), 5), (("check",), 2),
    (("history", "vps_1"), 5),
    (("plan", "recovery-is-gone", "vps_1"), 0), (FORCED, 5), (("failback", "vps_1", "--yes"), 5),
    (("switchover", "vps_1", "--yes"), 5), (("run", "build-service", "vps_1"), 5),
    (("discover",), 5), (("doctor",), 2), (("replicate", "vps_1"), 5),
    (("look", "vps_1", "--at", "2026-11-24"), 5),
    (("bring-back", "vps_1", "--at", "2026-11-24", "--database", "a", "--to", "a.zip"), 5),
]  # fmt: skip
NAMES = [words[0] for words, _ in WITHOUT]


@pytest.mark.parametrize("words", [("--help",), ("list",), ("status",), FORCED])
def test_a_command_of_the_night_loads_nothing_of_prefect(
    inventory: Path, words: tuple[str, ...]
) -> None:
    done = _python(
        ["-W", "error", "-c", COMMAND, "--inventory", str(inventory), *words], inventory.parent
    )

    assert done.stderr.splitlines()[-1] == "loaded:", done.stderr


# What a failover needs for its plan, once customers work, or never: each takes its time to import.
NOT_AT_NIGHT = (
    "cryptography.x509", "dns", "invoke", "lexicon", "deployments.discover",
    "deployments.removal", "tasks.board", "tasks.byhand", "tasks.discovery", "tasks.readiness",
)  # fmt: skip
LATE = f"""
import atexit, os, sys
from deployments.__main__ import main

def judge():
    print("loaded:", *sorted(set({NOT_AT_NIGHT}) & set(sys.modules)), file=sys.stderr)

atexit.register(judge)
sys.exit(main())
"""


def test_a_failover_waits_for_no_import_that_it_needs_later_or_never(inventory: Path) -> None:
    done = _python(["-c", LATE, "--inventory", str(inventory), *FORCED], inventory.parent)

    assert "cannot" in done.stderr or "did not answer" in done.stderr
    assert done.stderr.splitlines()[-1] == "loaded:", done.stderr


@pytest.mark.parametrize(("words", "code"), WITHOUT, ids=NAMES)
def test_a_command_of_the_night_works_where_prefect_is_broken(
    inventory: Path, words: tuple[str, ...], code: int
) -> None:
    done = _python(
        ["-m", "deployments", "--inventory", str(inventory), *words], inventory.parent,
        PYTHONPATH=broken(inventory.parent / "broken"),
    )  # fmt: skip

    assert done.returncode == code, done.stderr
    assert "broken" not in done.stderr
    assert "Traceback" not in done.stderr


def test_what_speaks_to_a_server_needs_prefect(inventory: Path) -> None:
    done = _python(
        ["-m", "deployments", "--inventory", str(inventory), "apply"], inventory.parent,
        PYTHONPATH=broken(inventory.parent / "broken"),
    )  # fmt: skip

    assert done.returncode != 0
    assert "prefect is broken" in done.stderr


def test_every_command_is_one_of_the_two_kinds() -> None:
    tried = {words[0] for words, _ in WITHOUT} - {"--help"}

    assert tried | WITH_PREFECT == {*cli.COMMANDS, "discover"}


def test_each_flow_is_imported_without_prefect(tmp_path: Path) -> None:
    done = _python(["-c", FLOWS], tmp_path, RELEVO_RUNTIME="shell")

    assert done.returncode == 0, done.stderr


def test_whoever_does_not_say_who_runs_us_gets_prefect(tmp_path: Path) -> None:
    done = _python(["-c", FLOWS], tmp_path)

    assert "setup_primary has loaded httpx" in done.stderr


def test_a_desk_is_a_page_unless_a_terminal_was_chosen() -> None:
    assert isinstance(desk(), Page)
    with without_server("a.log"):
        assert isinstance(desk(), Terminal)
        assert desk().journal == "a.log"
    assert isinstance(desk(), Page)


ASKED = Question("failover", "vps_1", origin="uno", asks_whether_down=True, shut_out="not known")


def _typing(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Type these answers, one to each question; give the questions."""
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return answers[len(asked) - 1]

    monkeypatch.setattr("builtins.input", answer)
    return asked


def test_a_terminal_asks_what_the_page_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _typing(monkeypatch, "yes", "Ana", "fire", "vps_1")

    with without_server():
        yes = question.ask(ASKED)

    assert (yes.reason, yes.approved_by, yes.origin_is_down) == ("fire", "Ana", True)
    assert "The state of uno is not known." in asked[0]
    assert "uno is down and stays down" in asked[0]
    assert asked[-1] == "\nType vps_1 to begin the failover: ", "the name is typed last"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (("no",), "not confirmed; nothing was changed"),
        (
            ("yes", "Ana", "fire", "vps_2"),
            "'vps_2' was typed, and this plan is about vps_1: type vps_1; nothing was changed",
        ),
    ],
)
def test_a_terminal_takes_nothing_else_for_a_yes_and_asks_once(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...], said: str
) -> None:
    asked = _typing(monkeypatch, *answers)

    with without_server(), pytest.raises(Refused, match=said):
        question.ask(ASKED)

    assert len(asked) == len(answers)


def test_a_terminal_asks_again_after_an_enter_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _typing(monkeypatch, "yes", "", " ", "Ana", "", "fire", "vps_1")

    with without_server():
        yes = question.ask(ASKED)

    assert (yes.reason, yes.approved_by) == ("fire", "Ana")
    assert len(asked) == 7, "and the plan is not measured again"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("failover apply --yes --reason remove", "failover"),
        ("--inventory remove status", "status"),
        ("--inv=apply --inv apply plan failover remove", "plan"),
        ("--inventory i.yaml apply --prune", "apply"),
        ("--version", ""),
    ],
)
def test_a_command_is_no_word_of_its_options(line: str, meant: str) -> None:
    assert command(line.split()) == meant


def test_what_the_command_line_says_already_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _typing(monkeypatch, "vps_1")

    with without_server():
        yes = question.ask(Question("removal", "vps_1", reason="left", approved_by="Ana"))

    assert (yes.reason, yes.approved_by, len(asked)) == ("left", "Ana", 1)
