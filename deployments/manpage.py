"""The man page of `relevo`, made of its parser: `python -m deployments.reference` writes it."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from blocks.version import VERSION
from deployments import parser
from deployments.reference import arguments, helps, meaning, sentence, spelled, usage

PATH: Path = Path(__file__).parents[1] / "docs" / "man" / "relevo.1"
FILES = (
    ("./inventory.yaml, /etc/relevo/inventory.yaml", "The inventory: the first that is there."),
    ("secrets.yaml", "Passwords and keys, beside the inventory."),
    ("/var/log/relevo/runs", "What was done from a shell, as root."),
)
ENVIRONMENT = (
    ("RELEVO_INVENTORY", "The inventory, where --inventory names none."),
    ("RELEVO_SECRETS", "The secrets, where they are not beside the inventory."),
    ("RELEVO_LOG_DIR", "Where the logs of a shell are kept."),
    ("PREFECT_API_URL", "The Prefect server that apply, rotate-key, remove and rename tell."),
)


def page() -> str:
    """Render the page, in the macros of man(7)."""
    words = parser.build()
    said = str(words.description).partition(": ")[2].rstrip(".")
    lines = [
        f'.TH RELEVO 1 "" "relevo {VERSION}" "Disaster recovery for Odoo"',
        ".SH NAME", f"relevo \\- {text(said)}",
        ".SH SYNOPSIS", f".B {text('relevo [--inventory INVENTORY] COMMAND ...')}",
        ".SH OPTIONS", *_arguments(words),
        ".SH COMMANDS", *_commands(words),
    ]  # fmt: skip
    lines += [".SH ENVIRONMENT", *_defined(ENVIRONMENT), ".SH FILES", *_defined(FILES)]
    lines += [".SH NOTES", ".nf", *map(text, str(words.epilog).rstrip().splitlines()), ".fi"]
    return "\n".join(lines) + "\n"


def _commands(words: argparse.ArgumentParser) -> Iterator[str]:
    meanings = helps(words)
    for name, each in parser.commands(words).items():
        yield f".SS {text(usage(name, each))}"
        yield text(sentence(meanings[name]))
        yield from _arguments(each)


def _arguments(words: argparse.ArgumentParser) -> Iterator[str]:
    return _defined((spelled(each), meaning(each)) for each in arguments(words))


def _defined(pairs: "Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]") -> Iterator[str]:
    for name, said in pairs:
        yield from (".TP", f".B {text(name)}", text(said.replace("`", "")))


def text(line: str) -> str:
    r"""Let a line stand in a page as it is: no macro, no escape, and hyphens that can be typed.

    >>> print(text("--set a\\b"), text(".so /etc/passwd"))
    \-\-set a\eb \&.so /etc/passwd
    """
    shown = line.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\&", shown)
