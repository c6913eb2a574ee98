"""Lines as PostgreSQL, ssh and libpq know them.

Python's own splitlines takes a form feed, a NEL and others for ends of lines, which to those
programs are signs like any other: what is joined again would be another file.
"""

import re


def lines_of(text: str) -> list[str]:
    r"""Split at line feeds alone, which stay where they are.

    >>> lines_of("a\x0cb\x85c\r\nd")
    ['a\x0cb\x85c\r\n', 'd']
    """
    return re.findall(r"[^\n]*\n|[^\n]+", text)
