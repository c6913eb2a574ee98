"""Open the past: a copy of a base, and all that brings it to one second and no further."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import Any  # Python 3.8

from . import cluster, names, window
from .cluster import Where
from .judge import Judge
from .ledger import Ledger
from .settings import Settings
from .store import Full, Store

TAIL = "relevo_tail"
# What a standby's backup brings along: with it the copy would stay a standby, and never end.
FOLLOWS = ("standby.signal", "postmaster.pid", "recovery.signal")


def prepare(settings: Settings, at: float, scratch: str) -> dict[str, Any]:
    """Fill an empty folder; say with which settings PostgreSQL has to begin there."""
    ledger, store = Ledger(settings.folder), Store(settings)
    try:
        where = cluster.locate(settings)
        seen = Judge(settings, ledger, store).look(where)
        base = window.choose(seen.spans, at)
        if base is None or at > where.now:
            found = seen.window
            return {
                "refused": "future" if at > where.now else "gap", "since": found.since,
                "until": found.until, "gaps": found.gaps,
            }  # fmt: skip
        try:
            store.require_room(base.size)
        except Full as error:
            return {"refused": "room", "need": base.size, "free": int(str(error))}
        subprocess.run(
            ["cp", "-a", "--reflink=auto", f"{store.base(base.label)}/.", scratch], check=True
        )
        for name in FOLLOWS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{scratch}/{name}")
        with open(f"{scratch}/recovery.signal", "wb") as signal:
            os.fsync(signal.fileno())
        tail = bring_tail(where, store, scratch)
        return {
            "base": base.label, "timeline": where.timeline, "tail": tail, "wal": settings.wal,
        }  # fmt: skip
    finally:
        ledger.close()


def bring_tail(where: Where, store: Store, scratch: str) -> str:
    """Copy what is not in the archive yet, and nothing of what comes after this moment.

    The segment that is being written ends at what was replayed: zeros are no WAL.
    """
    tail = f"{scratch}/{TAIL}"
    os.mkdir(tail, 0o700)
    for name in filter(names.HISTORY.match, os.listdir(where.wal)):
        shutil.copyfile(os.path.join(where.wal, name), f"{tail}/{name}")
    line = store.line(where)
    last = where.replayed // where.segment
    number = last
    while number >= 0:
        timeline = names.timeline(number, where.segment, line, where.timeline)
        name = names.name(timeline, number, where.segment)
        if number < last and os.path.exists(store.path(name)):
            break
        source = os.path.join(where.wal, name)
        if not os.path.exists(source):
            break
        shutil.copyfile(source, f"{tail}/{name}")
        if number == last:
            os.truncate(f"{tail}/{name}", where.replayed % where.segment)
            os.truncate(f"{tail}/{name}", where.segment)
        number -= 1
    return tail
