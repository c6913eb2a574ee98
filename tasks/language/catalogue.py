"""What Relevo says, in the language of whoever reads it.

The code says everything in English, and logs, events and records keep it so. Where a person reads,
the sentence is known again by the catalogue (`es.po`) and said in the other language, with the
same names and figures: so it does not matter who has said it, or when, or on which host. What the
catalogue does not know (a name, what a server has said) is shown as it is.

A word alone may be a name: a database called customers, a host called recovery. So single words
(`label` in the catalogue) are said only where a page has no names: in the head of a table, before
a fact, in a heading.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from blocks.errors import RelevoError
from blocks.names import Language
from blocks.plain import markdown
from tasks.language.template import Template

SPANISH = Path(__file__).with_name("es.po")
LABEL = "label"
DEPTH = 6  # a sentence in a sentence in a sentence, and lists of them
# What is longer, or of more parts, was not made of our sentences alone.
LONGEST, PARTS = 2000, 50
VERBATIM = "shlex_join"  # how such a place is called: as the code fills it
HINT = {"en": "HINT", "es": "SUGERENCIA"}
FIGURE = re.compile(r"-?\d+\.\d+ (?:s|ms|%|B|kB|MB|GB|TB|min|h)")
DECIMAL = re.compile(r"-?\d+\.\d+")  # a version, too: a figure only where seconds stand
AGES = (
    (re.compile(r"(\d+ (?:s|min|h|d)) ago"), r"hace \1"),
    (re.compile(r"in (\d+ (?:s|min|h|d))"), r"dentro de \1"),
)
COUNTED = re.compile(r"(\d+) ([a-z]+)")
ESCAPED = re.compile(r"\\([^A-Za-z0-9\s])")
# What Markdown puts before a text: a heading, a point of a list, a quote.
MARK = re.compile(r"\s*(?:(#{1,6}) |[-*] |\d+\. |> )?")
CELL = re.compile(r"(?<!\\)(?:\\\\)*\|")
BOLD = re.compile(r"\*\*([^*]+)\*\*")
BEFORE_BOLD = re.compile(r"(\. )(?=\*\*)")
FENCE = "```"
FACTS = 4  # the pieces of a row that has a fact and its value
VALUES = {"nothing", "never", "none", "yes", "no", "silent", "down", "gone", "done", "failed"}
# Columns of other tables in which no name stands, by their head; and tables that are full of them.
WORDS = {"", "served from", "lag", "files copied", "last drill or move"}
NAMES = {"name"}


@functools.cache
def _read() -> tuple[dict[str, str], dict[str, str]]:
    """Read the catalogue: the sentences, and the labels, with what they are in Spanish."""
    from babel.messages.pofile import read_po  # noqa: PLC0415  # no reader of English loads it

    with SPANISH.open("rb") as file:
        read = [each for each in read_po(file, locale="es") if each.id and each.string]
    sentences, alone = dict[str, str](), dict[str, str]()
    for each in read:
        known = alone if each.context == LABEL else sentences
        known[str(each.id).strip()] = str(each.string).strip()
    return sentences, alone


def twins() -> dict[str, str]:
    """Give each sentence, and what it is in Spanish."""
    return _read()[0]


def labels() -> dict[str, str]:
    """Give each word that stands alone, and what it is in Spanish."""
    return _read()[1]


@functools.cache
def _templates() -> list[tuple[Template, Template]]:
    """Those with places in them; the one that has most words of its own comes first."""
    pairs = [(Template(sentence), Template(twin)) for sentence, twin in twins().items()]
    known = [pair for pair in pairs if pair[0].names and pair[0].is_known_again]
    return sorted(known, key=lambda pair: -len(pair[0].own))


def forget() -> None:
    """Forget what was said before, for the catalogue is another one now."""
    _templates.cache_clear()
    _sentence.cache_clear()


def translated(text: str, language: Language) -> str:
    """Say an English sentence of ours in a language; leave what is none."""
    return text if language == "en" else _said(text, DEPTH)


def _said(text: str, depth: int) -> str:
    words = text.strip()
    if not words or depth == 0 or len(words) > LONGEST:
        return text
    begin = text.index(words)
    return text[:begin] + _sentence(words, depth) + text[begin + len(words) :]


@functools.lru_cache(maxsize=8192)
def _sentence(text: str, depth: int) -> str:
    if (found := _known(text, depth)) is not None:
        return found
    # A sentence that was taken out of several may have left its full stop behind.
    if not text.endswith(".") and (found := _known(f"{text}.", depth)) is not None:
        return found.removesuffix(".")
    return _in_parts(text, depth)


def _known(text: str, depth: int) -> str | None:
    """Say a sentence that the catalogue has as it is, or with other names in it."""
    if (twin := twins().get(text)) is not None:
        return twin
    if (figure := _figure(text)) is not None:
        return figure
    for template, twin_of in _templates():
        if template.longest in text and (values := template.read(text)) is not None:
            return twin_of.make({name: _value(name, values[name], depth) for name in values})
    return None


def _value(place: str, text: str, depth: int) -> str:
    """Say what stands at a place; a command that may be typed again stays as it is."""
    if "seconds" in place and DECIMAL.fullmatch(text):
        return text.replace(".", ",")
    if not place.startswith(VERBATIM):
        return _said(text, depth - 1)
    command, newline, below = text.partition("\n")
    return f"{command}{newline}{_said(below, depth - 1)}"


def _figure(text: str) -> str | None:
    """Say a figure with its comma, or an age; nothing where it is neither."""
    if FIGURE.fullmatch(text):
        return text.replace(".", ",")
    for known, twin in AGES:
        if age := known.fullmatch(text):
            return age.expand(twin)
    return None


def _in_parts(text: str, depth: int) -> str:
    """Say what was put together of several sentences."""
    for between in ("\n", ". ", "; ", ", ", ": "):
        if between in text:
            parts = text.split(between)
            return text if len(parts) > PARTS else between.join(_said(p, depth - 1) for p in parts)
    return f"{_said(text[:-1], depth)}." if text.endswith(".") else text


def spoken(error: RelevoError, language: Language) -> str:
    """Say what went wrong, and what to do about it."""
    message = translated(error.message, language)
    return (
        f"{message}\n{HINT[language]}: {translated(error.hint, language)}"
        if error.hint
        else message
    )


def page(text: str, language: Language) -> str:
    """Say a page of Markdown: headings, lists, tables and paragraphs, and no block of code."""
    return text if language == "en" else "\n".join(_lines(text))


def _lines(text: str) -> Iterator[str]:
    is_code, head = False, list[str]()
    for line in text.split("\n"):
        is_fence = line.lstrip().startswith(FENCE)
        is_code ^= is_fence
        if is_code or is_fence:
            yield line
        elif line.startswith("|"):
            cells = _cells(line)
            yield "|".join(_row(cells, head))
            head = head or cells
            continue
        else:
            yield _marked(line)
        head = []


def _cells(line: str) -> list[str]:
    """Take a row apart where no backslash stands before the stroke.

    >>> _cells("| a | b |")
    ['', ' a ', ' b ', '']
    """
    cells, at = list[str](), 0
    for stroke in CELL.finditer(line):
        cells.append(line[at : stroke.end() - 1])
        at = stroke.end()
    return [*cells, line[at:]]


def _row(cells: Sequence[str], head: Sequence[str]) -> Iterator[str]:
    """Say a row; words alone only where no name can stand."""
    if not head:
        yield from (_marked(each, words=labels()) for each in cells)
    elif {each.strip() for each in head} & NAMES:
        yield from cells
    elif len(cells) == FACTS:
        before, fact, value, after = cells
        if "seconds" in "".join((fact, *head)) and DECIMAL.fullmatch(value.strip()):
            value = value.replace(".", ",")
        known = {word: labels()[word] for word in VALUES & labels().keys()}
        yield from (before, _marked(fact, words=labels()), _marked(value, words=known), after)
    else:
        for cell, over in zip(cells, (*head, *[None] * len(cells)), strict=False):
            yield _marked(cell, words=labels() if str(over).strip() in WORDS else {})


def apart(text: str) -> tuple[str, bool, str, str]:
    """Give what Markdown puts before a text, whether that is a heading, the text, and its end.

    >>> apart("## Plan "), apart("- a b"), apart("  ")
    (('## ', True, 'Plan', ' '), ('- ', False, 'a b', ''), ('  ', False, '', ''))
    """
    mark = MARK.match(text)
    assert mark is not None, "it matches everything"
    rest = text[mark.end() :].rstrip()
    return mark[0], bool(mark[1]), rest, text[mark.end() + len(rest) :]


def _marked(text: str, *, words: dict[str, str] | None = None) -> str:
    before, heading, rest, after = apart(text)
    if heading:
        return f"{before}{_heading(rest)}{after}"
    if words and rest in words:
        return f"{before}{words[rest]}{after}"
    return f"{before}{''.join(map(_emphasized, BEFORE_BOLD.split(rest)))}{after}"


def _heading(text: str) -> str:
    counted = [COUNTED.fullmatch(each) for each in text.split(", ")]
    if all(each and each[2] in labels() for each in counted):
        return ", ".join(f"{each[1]} {labels()[each[2]]}" for each in counted if each)
    return labels().get(text) or _unescaped(text)


def _emphasized(text: str) -> str:
    if (twin := _said(text, DEPTH)) != text:
        return twin
    bold = BOLD.fullmatch(text)
    return f"**{_unescaped(bold[1])}**" if bold else _unescaped(text)


def _unescaped(words: str) -> str:
    """Say what Markdown has written with backslashes; a link stays one."""
    bare = ESCAPED.sub(r"\1", words)
    if bare == words or "](" in words or "**" in words:
        return _said(words, DEPTH)
    twin = _said(bare, DEPTH)
    return words if twin == bare else markdown(twin)
