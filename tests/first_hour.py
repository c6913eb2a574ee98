"""A new user's first hour, counted: what is typed from bare machines to two replicated instances.

    python -m tests.first_hour            count anew, and write it into docs/first-hour.md
    python -m tests.first_hour measure INVENTORY HOST HOST --recovery HOST
                                          time the commands on real servers, and write the seconds

What is counted stands in the documents: the blocks of commands as they are printed, without their
comments, and an Enter for each line. The documents of before are kept in tests/unit/data.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.documents import commands_in

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "first-hour.md"
SECONDS = ROOT / "docs" / "benchmarks" / "first-hour.json"
KEPT = ROOT / "tests" / "unit" / "data" / "first_hour"
BEGIN, END = "<!-- counted: python -m tests.first_hour -->", "<!-- end -->"
COMMENT = re.compile(r"\s+#.*$")
NAMES = ("vps_clientes_1", "vps_clientes_2")
YES = "yes"


@dataclass(frozen=True)
class Step:
    """One thing to do: its lines as they are typed, and the facts that have to be looked up."""

    name: str
    lines: tuple[str, ...]
    facts: int = 0

    @property
    def keys(self) -> int:
        """
        >>> Step("apply", ("relevo apply",)).keys
        13
        """
        return sum(len(line) + 1 for line in self.lines)


def typed(block: str) -> tuple[str, ...]:
    """Give the lines of a block as somebody types them.

    >>> typed("   relevo apply          # blocks\\n\\n   ls")
    ('relevo apply', 'ls')
    """
    lines = (COMMENT.sub("", line.strip()) for line in block.splitlines())
    return tuple(line for line in lines if line)


def before() -> list[Step]:
    """What README of 34ee633 asks for."""
    text = (KEPT / "readme.before.md").read_text()
    install, prefect = commands_in(text, "Use it")
    said = _inline(text, "relevo run replicate NAME")
    facts = list(_facts(yaml.safe_load((KEPT / "inventory.before.yaml").read_text())))
    return [
        Step("install", typed(install)),
        Step("the inventory, by hand", ("cp inventory.example.yaml /etc/relevo/inventory.yaml",
             "editor /etc/relevo/inventory.yaml", *facts), len(facts)),
        Step("Prefect, and `apply`", typed(prefect)),
        Step("replicate", tuple(said.replace("NAME", name) for name in NAMES)),
    ]  # fmt: skip


def after() -> list[Step]:
    """What docs/install.md asks for today."""
    text = (ROOT / "docs" / "install.md").read_text()
    install, discover, prefect = commands_in(text, "Step by step")
    return [
        Step("install", typed(install)),
        Step("`discover`, and a yes to each host key", (*typed(discover), YES, YES, YES)),
        Step("Prefect, and `apply`", typed(prefect)),
        Step("ask the doctor", (_inline(text, "relevo doctor"),)),
        Step("replicate", (_inline(text, "relevo replicate --all --at-most 2"),)),
    ]


def _inline(text: str, command: str) -> str:
    """Give a command that a page has in a sentence; one that is no longer there is an error."""
    if f"`{command}`" not in text:
        raise LookupError(f"no page says {command!r} any more")
    return command


def _facts(inventory: dict[str, object]) -> Iterator[str]:
    """Give the values that only the servers know: of the recovery server, and of two instances."""
    yield from _values(inventory["recovery"])
    instances = inventory["instances"]
    assert isinstance(instances, dict), "that is its form"
    yield from _values([instances[name] for name in NAMES])


def _values(found: object) -> Iterator[str]:
    """
    >>> list(_values({"a": 1, "b": [{"c": "x"}]}))
    ['1', 'x']
    """
    if isinstance(found, dict | list):
        for each in found.values() if isinstance(found, dict) else found:
            yield from _values(each)
    else:
        yield str(found)


def table() -> str:
    """Say what was counted."""
    lines = ["| | keystrokes | lines | facts to look up |", "|---|---|---|---|"]
    for title, steps in (("34ee633", before()), ("today", after())):
        lines += [
            f"| {title}: {step.name} | {step.keys} | {len(step.lines)} | {step.facts} |"
            for step in steps
        ]
        whole = (
            sum(step.keys for step in steps), sum(len(step.lines) for step in steps),
            sum(step.facts for step in steps),
        )  # fmt: skip
        lines.append(f"| **{title}, all** | " + " | ".join(f"**{each}**" for each in whole) + " |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Put the figures of now into the page."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def measure(inventory: str, hosts: Sequence[str], recovery: str) -> dict[str, float]:
    """Time each command on servers; nothing of this inventory may be there yet."""
    relevo = [sys.executable, "-P", "-m", "deployments", "--inventory", inventory]
    commands = {
        "discover": ["discover", *hosts, "--recovery", recovery, "--write", inventory],
        "apply": ["apply"],
        "doctor": ["doctor"],
        "replicate": ["replicate", "--all", "--at-most", "2"],
    }
    took: dict[str, float] = {}
    for name, words in commands.items():
        argv = [*relevo[:4], *words] if name == "discover" else [*relevo, *words]
        begun = time.monotonic()
        status = subprocess.run(argv, check=False).returncode
        took[name] = round(time.monotonic() - begun, 1)
        print(f"{name}: {took[name]} s, status {status}")
        if status not in {0, 1} or (name != "doctor" and status):
            raise SystemExit(f"{name} ended with {status}: what was measured counts for nothing")
    return took


def main() -> None:
    """Count, or measure."""
    words = argparse.ArgumentParser(description=__doc__)
    commands = words.add_subparsers(dest="command")
    timed = commands.add_parser("measure")
    timed.add_argument("inventory")
    timed.add_argument("hosts", nargs="+")
    timed.add_argument("--recovery", required=True)
    given = words.parse_args()
    if given.command == "measure":
        took = measure(given.inventory, given.hosts, given.recovery)
        SECONDS.write_text(json.dumps(took, indent=2) + "\n")
        return
    PAGE.write_text(page(PAGE.read_text()))


if __name__ == "__main__":
    main()
