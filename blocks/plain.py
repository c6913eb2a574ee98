"""Others' words, as they may be shown: to a terminal, on a page, in a table.

A customer names documents, databases, roles and packages, and a server says what it likes in an
error. None of that moves a cursor, hides a line, makes a link or becomes a formula. What is said
here twice is said once: each of the three leaves its own result as it is.
"""

import logging
import re
import unicodedata

WORDS, PAGE = 2000, 4_000_000  # the longest of a name or a sentence, and of a whole text
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_RISKY = re.compile(r"[^ -~]")
_MARKED = re.compile(
    r"""\\[!-/:-@\[-`{-~]  # escaped already
    | \\\Z                 # would escape what we write behind it
    | [`*\[\]<>|~&@]
    | (?<![^\W_])_ | _(?![^\W_])  # within a word it is no emphasis
    | :(?=//)
    | (?<=\bwww)\.
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LEADING = re.compile(r"(\d{1,9}(?=[.)](?:\s|\Z))|)(#|[.)](?=\s|\Z)|[+=-](?=[\s+=-]|\Z))")
_FORMULA = re.compile(r"\s*[=+@-]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*(e[+-]?\d+)?", re.IGNORECASE)


def _seen(found: re.Match[str]) -> str:
    char = found[0]
    if unicodedata.category(char) not in HIDDEN:
        return char
    number = ord(char)
    if number < 1 << 8:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"


def plain(text: str, *, lines: bool = False, longest: int = 0) -> str:
    r"""Show what is hidden: control characters, what turns the direction, halves of characters.

    With `lines` a text keeps its lines and tabs; without it a line feed is shown too. What is too
    long is cut, and says so.

    >>> plain("a\x1b[2Jb\r\nc\u202egpj"), plain("one\ntwo", lines=True)
    ('a\\x1b[2Jb\\x0d\\x0ac\\u202egpj', 'one\ntwo')
    >>> plain("peña 株式会社"), plain("a" * 90, longest=50)
    ('peña 株式会社', 'aaaaaaaaaa... (80 more characters)')
    """
    if lines:
        shown = "\n".join(
            "\t".join(_RISKY.sub(_seen, word) for word in line.split("\t"))
            for line in text.split("\n")
        )
    else:
        shown = _RISKY.sub(_seen, text)
    longest = longest or (PAGE if lines else WORDS)
    if len(shown) <= longest:
        return shown
    kept = longest - 40
    return f"{shown[:kept]}... ({len(shown) - kept} more characters)"


def markdown(text: str) -> str:
    r"""Let a text stand in a page or a cell of it as it is: no link, no picture, no HTML, no table.

    >>> markdown("<img src=x> | [a](http://b) `c` *d* vps_1")
    '\\<img src=x\\> \\| \\[a\\](http\\://b) \\`c\\` \\*d\\* vps_1'
    >>> markdown("# a"), markdown("1. a"), markdown("- 5"), markdown("x\\"), markdown("3.1 s")
    ('\\# a', '1\\. a', '\\- 5', 'x\\\\', '3.1 s')
    >>> markdown(markdown("a | b \\| c")) == markdown("a | b \\| c")
    True
    """
    shown = _MARKED.sub(
        lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", plain(text).strip(" ")
    )
    leading = _LEADING.match(shown)
    return f"{leading[1]}\\{shown[leading.start(2) :]}" if leading else shown


def cell(text: str) -> str:
    """Let a text be no formula in a spreadsheet; numbers stay numbers.

    >>> cell('=HYPERLINK("http://x")'), cell("+34 600"), cell("-12.5"), cell("peña")
    ('\\'=HYPERLINK("http://x")', "'+34 600", '-12.5', 'peña')
    >>> cell(cell("@SUM(1)"))
    "'@SUM(1)"
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


class Plainly(logging.Filter):
    """Writes no log line that another's words have made otherwise than it looks."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = plain(record.getMessage(), lines=True), ()
        return True


PLAINLY = Plainly()
