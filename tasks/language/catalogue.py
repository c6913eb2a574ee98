"""What Relevo says, in the language of whoever reads it.

The code says everything in English, and logs, events and records keep it so. Where a person reads,
the sentence is known again by the catalogue (`es.po`) and said in the other language, with the
same names and figures: so it does not matter who has said it, or when, or on which host. What the
catalogue does not know (a name, what a server has said) is shown as it is.
"""

import functools
import re
from pathlib import Path

from blocks.errors import RelevoError
from blocks.names import Language
from blocks.plain import markdown
from tasks.language.template import Template

SPANISH = Path(__file__).with_name("es.po")
DEPTH = 4  # a sentence in a sentence in a sentence
HINT = {"en": "HINT", "es": "SUGERENCIA"}
FIGURE = re.compile(r"-?\d+\.\d+(?: ?(?:s|ms|%|B|kB|MB|GB|TB|min|h))?")
AGES = (
    (re.compile(r"(\d+ (?:s|min|h|d)) ago"), r"hace \1"),
    (re.compile(r"in (\d+ (?:s|min|h|d))"), r"dentro de \1"),
)
COUNTED = re.compile(r"(\d+) ([a-z]+)")
ESCAPED = re.compile(r"\\([^A-Za-z0-9\s])")
# What Markdown puts before a text: a heading, a point of a list, a quote.
MARK = re.compile(r"(\s*(?:#{1,6} |[-*] |\d+\. |> )?)(.*?)(\s*)", re.DOTALL)
FENCE = "```"


@functools.cache
def twins() -> dict[str, str]:
    """Read the catalogue: each sentence, and what it is in Spanish."""
    from babel.messages.pofile import read_po  # noqa: PLC0415  # no reader of English loads it

    with SPANISH.open("rb") as file:
        read = read_po(file, locale="es")
    return {
        str(each.id).strip(): str(each.string).strip() for each in read if each.id and each.string
    }


@functools.cache
def _templates() -> list[tuple[Template, Template]]:
    """Those with places in them; the one that has most words of its own comes first."""
    pairs = [(Template(said), Template(twin)) for said, twin in twins().items()]
    known = [pair for pair in pairs if pair[0].names and pair[0].is_known_again]
    return sorted(known, key=lambda pair: -len(pair[0].own))


def said(text: str, language: Language) -> str:
    """Say an English sentence of ours in a language; leave what is none."""
    return text if language == "en" else _said(text, DEPTH)


def _said(text: str, depth: int) -> str:
    words = text.strip()
    if not words or depth == 0:
        return text
    begin = text.index(words)
    return text[:begin] + _sentence(words, depth) + text[begin + len(words) :]


def _sentence(text: str, depth: int) -> str:
    if (twin := twins().get(text)) is not None:
        return twin
    if (figure := _figure(text)) is not None:
        return figure
    for template, twin_of in _templates():
        if template.longest in text and (values := template.read(text)) is not None:
            return twin_of.make({name: _said(each, depth - 1) for name, each in values.items()})
    return _in_parts(text, depth)


def _figure(text: str) -> str | None:
    """Say a figure with its comma, an age, or how many of something; nothing where it is none."""
    if FIGURE.fullmatch(text):
        return text.replace(".", ",")
    for known, twin in AGES:
        if age := known.fullmatch(text):
            return age.expand(twin)
    if (counted := COUNTED.fullmatch(text)) and counted[2] in twins():
        return f"{counted[1]} {twins()[counted[2]]}"
    return None


def _in_parts(text: str, depth: int) -> str:
    """Say what was put together of several sentences."""
    for between in ("\n", ". ", "; ", ", "):
        if between in text:
            return between.join(_said(each, depth - 1) for each in text.split(between))
    return f"{_said(text[:-1], depth)}." if text.endswith(".") else text


def spoken(error: RelevoError, language: Language) -> str:
    """Say what went wrong, and what to do about it."""
    message = said(error.message, language)
    return f"{message}\n{HINT[language]}: {said(error.hint, language)}" if error.hint else message


def page(markdown: str, language: Language) -> str:
    """Say a page of Markdown: headings, lists, tables and paragraphs, and no block of code."""
    if language == "en":
        return markdown
    lines, is_code = list[str](), False
    for line in markdown.split("\n"):
        is_code ^= line.lstrip().startswith(FENCE)
        lines.append(line if is_code or line.lstrip().startswith(FENCE) else _line(line))
    return "\n".join(lines)


def _line(line: str) -> str:
    if line.startswith("|"):
        return "|".join(_marked(cell) for cell in line.split("|"))
    return _marked(line)


def _marked(text: str) -> str:
    match = MARK.fullmatch(text)
    assert match is not None, "it matches everything"
    before, words, after = match.groups()
    twin = _unescaped(words)
    is_bold = words.startswith("**") and words.endswith("**") and words.count("**") == 2  # noqa: PLR2004
    if twin == words and is_bold:
        twin = f"**{_said(words[2:-2], DEPTH)}**"
    return f"{before}{twin}{after}"


def _unescaped(words: str) -> str:
    """Say what Markdown has written with backslashes; a link stays one."""
    bare = ESCAPED.sub(r"\1", words)
    if bare == words or "](" in words:
        return _said(words, DEPTH)
    twin = _said(bare, DEPTH)
    return words if twin == bare else markdown(twin)
