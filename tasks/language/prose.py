"""Text of several lines, as a docstring has it: paragraphs, points of a list, arguments.

Its lines are wrapped for whoever reads the code, so each part is known again as one line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from blocks.names import Language
from tasks.language import catalogue

ARGS = "Args:"
POINT = re.compile(r"(\s*(?:\d+\.|-) )(.*)")
ARGUMENT = re.compile(r"( {4}[a-z_]+: )(.*)")


@dataclass(frozen=True)
class Part:
    """A paragraph, a point or an argument: what stands before it, and its text in one line."""

    before: str
    text: str


def parts(text: str) -> Iterator[Part]:
    r"""Take a text apart.

    >>> text = "One\nof two.\n\n1. First\n   point.\n2. Next.\n\nArgs:\n    who: It is\n        he."
    >>> [part.before for part in parts(text)]
    ['', '\n\n1. ', '\n2. ', '\n\n', '\n    who: ']
    >>> [part.text for part in parts(text)]
    ['One of two.', 'First point.', 'Next.', 'Args:', 'It is he.']
    """
    before, words, begins = "", list[str](), POINT
    for line in text.split("\n"):
        point = begins.fullmatch(line)
        if words and (point or not line.strip() or line == ARGS or words == [ARGS]):
            yield Part(before, " ".join(words))
            before, words = "", []
            if line.strip():
                before = "\n"
        if not line.strip():
            before += "\n" if before else "\n\n"
            continue
        words.append((point[2] if point else line).strip())
        if point:
            before += point[1]
        if line == ARGS:
            begins = ARGUMENT
    if words:
        yield Part(before, " ".join(words))


def translated(text: str, language: Language) -> str:
    """Say a text, each of its parts in one line; a reader of English has it as it is."""
    if language == "en":
        return text
    return "".join(part.before + catalogue.translated(part.text, language) for part in parts(text))
