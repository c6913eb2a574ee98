"""The names that Odoo gives: of a database, and of a file of its filestore."""

from __future__ import annotations

import re

NAME = re.compile(r"^([^/\x00-\x1f\x7f.][^/\x00-\x1f\x7f]*)/([0-9a-f]{2,3})/([0-9a-f]{40})\Z")
DATABASE = re.compile(r"^[^/\x00-\x1f\x7f.][^/\x00-\x1f\x7f]*\Z")


def parts(name: str) -> tuple[str, str, str]:
    """Take a name apart, and refuse every name that Odoo would not give.

    >>> parts("shop/0b/" + "0b" * 20)[0]
    'shop'
    >>> parts("shop/../" + "0b" * 20)
    Traceback (most recent call last):
    PermissionError: it is not the name of a file
    """
    found = NAME.match(name)
    if not found or not found[3].startswith(found[2]):
        raise PermissionError("it is not the name of a file")
    return found[1], found[2], found[3]
