"""The command blocks of the documentation, so that a test can follow a page to the letter."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# An item of a list: what belongs to it is indented as far as its first word.
ITEM = re.compile(r" *(?:[-*]|\d+\.) +")


@dataclass(frozen=True)
class Block:
    """One block of a page, with the heading that it stands below."""

    page: str
    heading: str
    text: str


def blocks(page: str) -> list[Block]:
    """Give all blocks of a page, in their order."""
    found = blocks_in((ROOT / page).read_text())
    return [Block(page, heading, text) for heading, text in found]


def commands(page: str, heading: str) -> list[str]:
    """Give the blocks below a heading of a page, in their order."""
    return commands_in((ROOT / page).read_text(), heading)


def commands_in(text: str, heading: str) -> list[str]:
    """Give the blocks below a heading of a text; there has to be one."""
    found = [each for title, each in blocks_in(text) if title == heading]
    if not found:
        raise LookupError(f"no block stands below {heading!r}")
    return found


def block(page: str, heading: str, begins: str) -> str:
    """Give the one block below a heading that begins with these words."""
    found = [each for each in commands(page, heading) if each.startswith(begins)]
    if len(found) != 1:
        raise LookupError(f"{page} has {len(found)} blocks {begins!r} below {heading!r}")
    return found[0]


def blocks_in(text: str) -> Iterator[tuple[str, str]]:
    r"""Read the blocks: between fences, or indented by four columns after an empty line.

    >>> list(blocks_in("# A\nno\n    no\n\n## B\n1. Do:\n\n       a\n\n       b\n   no\n\n   no\n"))
    [('B', 'a\n\nb')]
    >>> list(blocks_in("- c:\n\n  no\n\n      d\n\nno\n\n    e\n```\nf\n```\n"))
    [('', 'd'), ('', 'e'), ('', 'f')]
    """
    heading, column, lines = "", 0, list[str]()
    after_empty = fenced = False
    for line in [*text.splitlines(), "."]:
        indent = len(line) - len(line.lstrip())
        is_fence = line.lstrip().startswith("```")
        if not fenced and not is_fence:
            if line.strip() and indent >= column + 4 and (lines or after_empty):
                lines.append(line)
                continue
            if not line.strip():
                after_empty, lines = True, [*lines, line] if lines else []
                continue
        elif fenced and not is_fence:
            lines.append(line)
            continue
        if lines:
            yield heading, textwrap.dedent("\n".join(lines)).rstrip()
        lines, fenced = [], is_fence and not fenced
        if title := re.fullmatch("#+ (.+)", line):
            heading, column = title[1], 0
        elif item := ITEM.match(line):
            column = len(item[0])
        elif after_empty:
            column = min(column, indent)
        after_empty = False


def in_table(page: str, begins: str) -> list[str]:
    """Give what stands as code in the last column of a page's tables, and begins so.

    >>> in_table("docs/night.md", "relevo failb")
    ['relevo failback NAME']
    """
    rows = re.findall(r"^\|.*\| (.*) \|$", (ROOT / page).read_text(), re.MULTILINE)
    codes = [code for last in rows for code in re.findall(r"`([^`]+)`", last)]
    return [code for code in codes if code.startswith(begins)]


def in_text(page: str, command: str) -> str:
    """Give a command that a page names in a sentence; it has to be there, to the letter."""
    if f"`{command}`" not in " ".join((ROOT / page).read_text().split()):
        raise LookupError(f"{page} does not name {command}")
    return command


def filled(block: str, names: dict[str, str]) -> str:
    """Put names in the place of the words that a page has for them.

    >>> filled("rm NAME odoo_NAME.service NAMES", {"NAME": "vps_1"})
    'rm vps_1 odoo_vps_1.service NAMES'
    """
    for word, name in names.items():
        block = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", name, block)
    return block
