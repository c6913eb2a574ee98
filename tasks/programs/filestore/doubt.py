"""Files that are here and are not what their names say: found without reading all of them.

A power cut may leave a name without its content: where an older program named a file before the
disk had it, or where a disk lied. So after each boot the sizes of all files are compared with their
rows, and what came after the last sync that was noted is read; the sizes once more before a heal
and a comparison of everything. And somebody may delete, spoil or shut a file that was right: each
verdict looks at all of them, and reads those that were changed since the last one that was good.
"""

from __future__ import annotations

import os
from typing import Iterable, Iterator  # Python 3.8

from ..bounded import read_text
from .disk import sha1_of
from .names import Key, is_file
from .store import Store
from .wire import Row

SLACK_SECONDS = 60.0  # of clocks, and of a sync that was noted a little later than it began
GONE, SHUT, SPOILED = "deleted here", "not readable here", "spoiled here"


def boot() -> str:
    """What no two boots of a host have in common."""
    return read_text("/proc/sys/kernel/random/boot_id").strip()


def wrong(store: Store, database: str, rows: Iterable[Row], since: float) -> Iterator[Key]:
    """Name the files that are spoiled, of those whose size is wrong or that are newer than that."""
    return (key for key, why in damage(store, database, rows, since) if why != GONE)


def damage(
    store: Store, database: str, rows: Iterable[Row], since: float
) -> Iterator[tuple[Key, str]]:
    """Name the files that are not here, and those that are and cannot be used, with the reason.

    A file is read where its size is wrong, or where it was changed since then.
    """
    for row in rows:
        folder, joined = str(row[0]), str(row[1])
        for each in joined.split(" "):
            name, size = folder + each[:40], each[40:]
            if is_file(name):
                key = Key(database, name)
                if why := _damage(store.path(key), key.digest, size, since):
                    yield key, why


def _damage(path: str, digest: str, size: str, since: float) -> str:
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return GONE
    except OSError:  # a folder that lets nobody in
        return SHUT
    if not os.access(path, os.R_OK):
        return SHUT
    # A row that says no size says nothing against a file, unless that is empty.
    wanted = int(size) if size else facts.st_size or -1
    doubtful = facts.st_size != wanted or facts.st_ctime >= since
    return SPOILED if doubtful and sha1_of(path) != digest else ""
