"""The command blocks of the documentation, so that a test can follow a page to the letter."""

import re
from itertools import groupby, takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands(page: str, heading: str) -> list[str]:
    """Give the blocks of commands below a heading of a page, in their order."""
    return commands_in((ROOT / page).read_text(), heading)


def commands_in(text: str, heading: str) -> list[str]:
    r"""Read the blocks that are indented by four columns.

    >>> commands_in("# A\n    no\n## B\nDo:\n\n    a\n    b\n\nThen:\n\n    c\n## C\n    d", "B")
    ['a\nb', 'c']
    """
    lines = iter(text.splitlines())
    headings = (line for line in lines if re.fullmatch(f"#+ {re.escape(heading)}", line))
    level = next(headings, "").partition(" ")[0]
    if not level:
        raise LookupError(f"no heading {heading!r}")
    below = takewhile(lambda line: not re.match(f"#{{1,{len(level)}}} ", line), lines)
    grouped = groupby(below, lambda line: line.startswith("    "))
    return ["\n".join(line[4:] for line in block) for is_code, block in grouped if is_code]


def filled(block: str, names: dict[str, str]) -> str:
    """Put names in the place of the words that a page has for them.

    >>> filled("rm NAME odoo_NAME.service NAMES", {"NAME": "vps_1"})
    'rm vps_1 odoo_vps_1.service NAMES'
    """
    for word, name in names.items():
        block = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", name, block)
    return block
