"""Keep this server from serving an instance whose write right another server has.

Written by Relevo; python3.8 and the standard library are all that it needs.

    guard CONFIG cluster   may PostgreSQL start? exit status 0 or 1, for ExecCondition=
    guard CONFIG odoo      may Odoo start?
    guard CONFIG watch     stay, and stop what may not run any more
    guard CONFIG ask       say who has the write right, and change nothing

The recovery host says, in one line, the newest receipt that it knows: who handed the write right
to whom, numbered by an epoch and signed. Nothing but such a line, genuine and newer than what is
known here, ever stops what runs: no answer, a lost record and an older one are no opinion. A
record of our own that is there and cannot be believed stops nothing either, but lets nothing start
before the recovery host has said who may write.

A disk that is full or read-only changes none of this: what has to stop is stopped first, and what
is to be remembered is written afterwards, where it can be.

Whoever answers without end, or not in time, has given no answer. Nothing that the recovery host can
say, and no fault of this program, ends like a no.
"""

from __future__ import annotations

import json
import sys

from ..bounded import read_text
from ..journal import say
from .guard import Guard
from .receipts import newest
from .watch import Watch


def main(argv: list[str]) -> int:
    path, verb = argv
    try:
        guard = Guard(json.loads(read_text(path)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"{path} cannot be read: {error}. HINT: run replicate, which writes it")
        return 1
    if verb == "watch":
        return Watch(guard).watch()
    if verb == "ask":
        return tell(guard)
    return guard.before(verb)


def tell(guard: Guard) -> int:
    """Say who has the write right, and change nothing."""
    line = guard.ask("once")
    known = newest(guard.record.own(), None if line is None else guard.record.genuine(line))
    print(json.dumps({"answered": line is not None, "known": known}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
