"""All rows of a database held against all its files, by their names alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator  # Python 3.8

from . import questions
from .names import DIGEST, FOLDER, Key, is_file
from .store import Store
from .wire import Cluster


@dataclass
class Found:
    """What a reconcile found in one database."""

    rows: int = 0
    missing: int = 0
    here: int = 0
    orphans: set[Key] = field(default_factory=set)

    def note(self, database: str, shard: str, strangers: set[str], *, here: int) -> None:
        self.here += here
        self.orphans |= {Key(database, f"{shard}/{n}") for n in strangers if DIGEST.match(n)}


def digests(folder: str, joined: str) -> set[str]:
    """Take apart what questions.EVERYTHING has joined.

    >>> one, other = 20 * "0b", "0b" + 19 * "ff"
    >>> digests("0b/", one + other) == {one, other}
    True
    >>> digests("0c/", one), digests("../", one)
    (set(), set())
    """
    if not folder.endswith("/"):
        return set()
    names = {joined[at : at + 40] for at in range(0, len(joined), 40)}
    if re.fullmatch(f"(?:{re.escape(folder[:-1])}[0-9a-f]{{{41 - len(folder)}}})*", joined):
        return names if FOLDER.match(folder[:-1]) else set()
    return {name for name in names if is_file(folder + name)}


def differences(
    store: Store, cluster: Cluster, database: str, found: Found
) -> Iterator[tuple[Key, int | None]]:
    """Give what is named and not here; note in `found` what is here and not named."""
    left = set(store.folders(database))
    for row in cluster.session(database).stream(questions.EVERYTHING):
        folder, joined, count = (str(value) for value in row)
        shard = folder[:-1]
        names, here = digests(folder, joined), store.listed(database, shard)
        left.discard(shard)
        found.rows += int(count)
        found.note(database, shard, here - names, here=len(here))
        for name in names - here:
            found.missing += 1
            yield Key(database, f"{folder}{name}"), None
    for shard in left:
        here = store.listed(database, shard)
        found.note(database, shard, here, here=len(here))
    store.sync(always=True)
