"""Exports that a spreadsheet may open: no text in them becomes a formula."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

FIELD = re.compile(r'"(?:[^"]|"")*"|[^,"\n]+')
FORMULA = re.compile(r"\s*[=+@-]|[\t\r\n]")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def tame_file(raw: Path, path: Path) -> None:
    """Write an export anew so that no spreadsheet takes a text in it for a formula."""
    with contextlib.ExitStack() as opened:
        read = opened.enter_context(
            raw.open(encoding="utf-8", errors="surrogateescape", newline="")
        )
        written = opened.enter_context(
            path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
        )
        record = ""
        for line in read:
            record += line
            if record.count('"') % 2 == 0:  # a quoted field may go on in the next line
                written.write(tame(record))
                record = ""
        written.write(tame(record))
    raw.unlink()


def tame(text: str) -> str:
    r"""Keep a spreadsheet from taking a customer's text for a formula; numbers stay numbers.

    >>> print(tame('id,name\n-5,"=A1+1,2"\n,"a ""b"" c"\n"","+34 600"'))
    id,name
    -5,"'=A1+1,2"
    ,"a ""b"" c"
    "","'+34 600"
    >>> tame('"@x",=1,a=b'), tame('"a\n=b",-')
    ('"\'@x",\'=1,a=b', '"a\n=b",\'-')
    """
    return FIELD.sub(_tamed, text)


def _tamed(found: re.Match[str]) -> str:
    field = found[0]
    quote = '"' if field.startswith('"') else ""
    inside = field[1:] if quote else field
    if not FORMULA.match(inside) or NUMBER.fullmatch(field):
        return field
    return f"{quote}'{inside}"
