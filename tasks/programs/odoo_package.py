"""Say where a Python finds Odoo, of which release it is, and what else is installed in place.

Written by Relevo; python3.8 and the standard library are all that it needs. It imports nothing of
Odoo's and writes nothing; it is run by Odoo's own interpreter, as Odoo's user.

    odoo_package FOLDER     the folder of Odoo's program; one line of JSON
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import sys
from typing import Iterator
from urllib.parse import unquote, urlsplit

RELEASE = re.compile(r"^version_info\s*=\s*\(\s*['\"]?[a-z~]*(\d+)['\"]?\s*,\s*(\d+)", re.MULTILINE)
MOST_BYTES, MOST = 1 << 16, 100


def package() -> str:
    """The folder of the package odoo; nothing where there is none."""
    try:
        found = importlib.util.find_spec("odoo")
    except (ImportError, ValueError):
        return ""
    places = list(found.submodule_search_locations or ()) if found else []
    return os.path.abspath(places[0]) if places else ""


def release(folder: str) -> str:
    """Read the release that Odoo says of itself.

    >>> RELEASE.search("version_info = (16, 0, 0, FINAL, 0, '')").groups()
    ('16', '0')
    >>> RELEASE.search("version_info = ('saas~17', 4, 0)").groups()
    ('17', '4')
    """
    try:
        with open(os.path.join(folder, "release.py"), encoding="utf-8", errors="replace") as file:
            found = RELEASE.search(file.read(MOST_BYTES))
    except OSError:
        return ""
    return ".".join(found.groups()) if found else ""


def editable() -> Iterator[str]:
    """Name the folders of packages that pip has installed in place (-e)."""
    for each in importlib.metadata.distributions():
        said = each.read_text("direct_url.json")
        facts = json.loads(said) if said else {}
        if facts.get("dir_info", {}).get("editable"):
            yield unquote(urlsplit(facts["url"]).path)
    for folder in filter(os.path.isdir, sys.path):
        for name in os.listdir(folder):
            if name.endswith(".egg-link"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    yield file.readline(MOST_BYTES).strip()


def main(folder: str) -> None:
    if folder:
        sys.path.insert(0, folder)
    where = package()
    found = sorted({os.path.abspath(path) for path, _ in zip(editable(), range(MOST)) if path})
    print(json.dumps({"package": where, "release": release(where), "editable": found}))


if __name__ == "__main__":
    main(sys.argv[1])
