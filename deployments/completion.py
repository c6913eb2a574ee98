"""Completion of the command line in bash and zsh, made of the parser by shtab."""

import argparse
from typing import Literal

import shtab

from deployments import parser

# What is asked for the name of an instance: the inventory itself.
PREAMBLE = {
    "bash": """\
_relevo_instances() { compgen -W "$(relevo list 2>/dev/null | cut -d: -f1)" -- "$1"; }
""",
    "zsh": """\
_relevo_instances() { compadd -- ${(f)"$(relevo list 2>/dev/null | cut -d: -f1)"}; }
""",
}
INSTANCES = dict.fromkeys(PREAMBLE, "_relevo_instances")


def script(shell: Literal["bash", "zsh"]) -> str:
    """Give the script that a shell reads."""
    words = parser.build()
    for command in parser.commands(words).values():
        for argument in command._actions:  # noqa: SLF001  # argparse has no other way
            _offer(argument)
    return shtab.complete(words, shell, preamble=PREAMBLE[shell])


def _offer(argument: argparse.Action) -> None:
    """Say what shtab is to offer where the parser has no choices."""
    if argument.dest == "instance":
        argument.complete = INSTANCES  # type: ignore[attr-defined]
    elif argument.dest in {"textfile", "inventory", "write", "key_file"}:
        argument.complete = shtab.FILE  # type: ignore[attr-defined]
