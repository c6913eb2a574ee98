"""Completion and the man page are made of the parser, and what reads them understands them."""

import subprocess
from pathlib import Path

import pytest

from deployments import completion, manpage, parser
from tests import unpacked

COMPLETE = """
relevo() { echo "vps_1: uno -> due (cluster 13/vps_1)"; }
complete() { :; }
source "$1"
shift
COMP_WORDS=(relevo "$@")
COMP_CWORD=$#
_shtab_relevo
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "relevo"
    path.write_text(completion.script("bash"))
    return path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["fail"], ["failback", "failover"]),
        (["history", ""], ["vps_1"]),
        (["plan", "fail"], ["failback", "failover"]),
        (["plan", "failover", "vps"], ["vps_1"]),
        (["check", "--j"], ["--json"]),
        (["doctor", ""], ["vps_1"]),
        (["doctor", "--j"], ["--json"]),
        (["replicate", "vps"], ["vps_1"]),
        (["discover", "--ac"], ["--accept-host-key"]),
    ],
)
def test_bash_is_offered_what_the_parser_takes(
    script: Path, typed: list[str], offered: list[str]
) -> None:
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", script, *typed],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert sorted(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_parses_its_completion(shell: str, tmp_path: Path) -> None:
    path = tmp_path / "relevo"
    path.write_text(completion.script("bash" if shell == "bash" else "zsh"))
    program = unpacked.find(shell, (shell,))

    subprocess.run([program, "-n", path], check=True)


def test_the_man_page_is_fresh() -> None:
    assert manpage.PATH.read_text() == manpage.page(), "run python -m deployments.reference"


def test_the_man_page_has_every_command_and_nothing_to_warn_of() -> None:
    page = manpage.page()

    for name in parser.commands(parser.build()):
        assert f".SS relevo {name.replace('-', chr(92) + '-')}" in page
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", manpage.PATH],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
