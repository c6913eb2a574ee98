"""The files that a database names: where they were, or in the trash, by their content."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Iterator  # Python 3.8

NAME = re.compile(r"^[0-9a-f]{2,3}/[0-9a-f]{40}$")


def places(filestore: str, trash: str, database: str, name: str) -> Iterator[str]:
    """Where a file of a database may lie: its folder, the trash of each day, other databases."""
    yield f"{filestore}/{database}/{name}"
    for day in sorted(_listed(trash), reverse=True):
        yield f"{trash}/{day}/filestore/{database}/{name}"
    for other in _listed(filestore):
        if other != database:
            yield f"{filestore}/{other}/{name}"


def find(filestore: str, trash: str, database: str, name: str) -> str:
    """Give a file whose content is what its name says; the empty string where nobody has one."""
    if not NAME.match(name):
        return ""
    for path in places(filestore, trash, database, name):
        if os.path.isfile(path) and not os.path.islink(path) and sha1(path) == name[-40:]:
            return path
    return ""


def sha1(path: str) -> str:
    digest = hashlib.sha1()  # noqa: S324  # Odoo's own choice
    try:
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError:
        return ""
    return digest.hexdigest()


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
