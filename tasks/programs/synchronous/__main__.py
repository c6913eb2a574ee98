"""Let commits at this origin wait for the recovery host, as the stated policy says.

Written by Relevo; python3.8 and the standard library are all that it needs.

    synchronous CONFIG watch     stay, measure once a second, act
    synchronous CONFIG release   let commits go on alone now, whatever the policy; by hand

PostgreSQL never stops waiting by itself, so somebody at the origin has to, who lives when the
runner does not. What is done is said in three places: the journal, a file of state, and a comment
on the role that streams. The comment travels in the WAL, and so the recovery host knows what was
true at the point up to which it has the WAL. It is therefore written *before* commits stop waiting
and *after* they are seen to wait, never the other way round.

The folder of PostgreSQL's settings belongs to the cluster's owner, and so it is the owner who
writes there. What psql says is bounded, and a beat that fails is followed by another.
"""

from __future__ import annotations

import json
import sys

from ..bounded import read_text
from .keeper import Keeper


def main(argv: list[str]) -> int:
    path, verb = argv
    keeper = Keeper(json.loads(read_text(path)))
    return keeper.release() if verb == "release" else keeper.watch()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
