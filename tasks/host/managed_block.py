"""A block of lines in somebody else's file, between two marks."""

import re

from blocks.lines import lines_of


def put(text: str, *, name: str, lines: str) -> str:
    r"""Put a named block in place of its former self, or first in the file.

    >>> print(put("a\n", name="vps_1", lines="new\n"))
    # relevo vps_1: begin
    new
    # relevo vps_1: end
    a
    <BLANKLINE>
    >>> once = put(put("a\n", name="x", lines="1"), name="y", lines="2")
    >>> put(once, name="x", lines="1") == once
    True
    """
    begin, end = marks(name)
    block = f"{begin}\n{lines.rstrip()}\n{end}\n"
    before, inside, after = split(text, name=name)
    if not inside:
        return block + before
    return before + block + after


def without(text: str, *, name: str) -> str:
    r"""Take a named block out of a file.

    >>> without("a\n# relevo x: begin\nb\n# relevo x: end\nc\n", name="x")
    'a\nc\n'
    """
    before, _, after = split(text, name=name)
    return before + after


def names(text: str) -> list[str]:
    r"""Name the blocks that a file has.

    >>> names("# relevo x: begin\na\n# relevo x: end\n# relevo y: begin\nb\n# relevo y: end\n")
    ['x', 'y']
    """
    return re.findall(r"^# relevo ([a-z][a-z0-9_]*): begin$", text, re.MULTILINE)


def marks(name: str) -> tuple[str, str]:
    return f"# relevo {name}: begin", f"# relevo {name}: end"


def split(text: str, *, name: str) -> tuple[str, str, str]:
    r"""Split a file at a named block: before, the block with its marks, after.

    A mark that has lost its other half goes, and nothing of others with it.

    >>> split("# relevo x: begin\na\n", name="x")
    ('a\n', '', '')
    """
    begin, end = marks(name)
    lines = lines_of(text)
    said = [line.strip() for line in lines]
    if begin not in said or end not in said[said.index(begin) :]:
        kept = (line for line, word in zip(lines, said, strict=True) if word not in {begin, end})
        return "".join(kept), "", ""
    first = said.index(begin)
    last = said.index(end, first)
    before, inside, after = lines[:first], lines[first : last + 1], lines[last + 1 :]
    rest = (line for line in after if line.strip() not in {begin, end})
    return "".join(before), "".join(inside), "".join(rest)
