"""Names of files, as Odoo gives them, and nothing else."""

from __future__ import annotations

import re
from typing import NamedTuple

FILE = re.compile(r"^([0-9a-f]{2,3})/(\1[0-9a-f]{37,38})$")
FOLDER = re.compile(r"^[0-9a-f]{2,3}$")
DIGEST = re.compile(r"^[0-9a-f]{40}$")
DATABASE = re.compile(r"^[^/\x00-\x1f\x7f.][^/\x00-\x1f\x7f]*\Z")


class Key(NamedTuple):
    """One file of one database."""

    database: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.database}/{self.name}"

    @property
    def digest(self) -> str:
        return self.name[-40:]


def is_file(name: str) -> bool:
    """Tell an attachment's file from any other `store_fname`.

    >>> is_file("0b/" + 20 * "0b"), is_file("0b0/" + 20 * "0b")
    (True, True)
    >>> is_file("../" + 20 * "0b"), is_file("s3://bucket/key"), is_file("aa/" + 20 * "0b")
    (False, False, False)
    """
    return len(name) in {43, 44} and FILE.match(name) is not None and len(name[-40:]) == 40  # noqa: PLR2004


def is_database(name: str) -> bool:
    """Tell a name that can be a folder's, and a word of a line that is said to the origin.

    >>> is_database("shop_1"), is_database("Cliente Uno")
    (True, True)
    >>> is_database("a/b"), is_database(".."), is_database("a\\n"), is_database("")
    (False, False, False, False)
    """
    return DATABASE.match(name) is not None
