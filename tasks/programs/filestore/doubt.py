"""Files that are here and are not what their names say: found without reading all of them.

A power cut may leave a name without its content: where an older program named a file before the
disk had it, or where a disk lied. So after each boot the sizes of all files are compared with their
rows, and what came after the last sync that was noted is read; the sizes once more before a heal
and a comparison of everything.
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


def boot() -> str:
    """What no two boots of a host have in common."""
    return read_text("/proc/sys/kernel/random/boot_id").strip()


def wrong(store: Store, database: str, rows: Iterable[Row], since: float) -> Iterator[Key]:
    """Name the files that are spoiled, of those whose size is wrong or that are newer than that."""
    for row in rows:
        folder, joined = str(row[0]), str(row[1])
        for each in joined.split(" "):
            name, size = folder + each[:40], each[40:]
            if is_file(name) and _is_doubtful(store.path(Key(database, name)), size, since):
                key = Key(database, name)
                if sha1_of(store.path(key)) != key.digest:
                    yield key


def _is_doubtful(path: str, size: str, since: float) -> bool:
    """Tell whether a file has to be read; a row that says no size says nothing against it."""
    try:
        facts = os.lstat(path)
    except OSError:  # it is missing, and that is another matter
        return False
    wanted = int(size) if size else facts.st_size or -1
    return facts.st_size != wanted or facts.st_ctime >= since
