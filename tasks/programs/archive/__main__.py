"""relevo's time machine on the recovery host: `archive.pyz VERB SETTINGS`.

Written by Relevo; python3.8 and the standard library are all that it needs, with PostgreSQL's own
programs. It runs as the owner of the cluster.

    keep SETTINGS               stay; copy the WAL, take base backups, let the oldest go
    judge SETTINGS              say to which seconds one can go back
    renew SETTINGS              take what is there for what it was, after it has changed hands
    prepare SETTINGS AT FOLDER  fill an empty folder, from which a cluster of that second begins
"""

from __future__ import annotations

import json
import signal
import sys
import threading

from .judge import facts, renew
from .keeper import Keeper
from .prepare import prepare
from .settings import read

MARK = "RELEVO "


def keep(path: str) -> int:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    Keeper(read(path)).run(ended)
    return 0


def main(arguments: list[str]) -> int:
    verb, path, *words = arguments
    if verb == "keep":
        return keep(path)
    known = read(path)
    if verb == "renew":
        renew(known)
        return 0
    found = prepare(known, float(words[0]), words[1]) if verb == "prepare" else facts(known)
    print(MARK + json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
