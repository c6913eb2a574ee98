"""relevo's filestore engine on the recovery host: `filestore.pyz VERB SETTINGS`."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from dataclasses import asdict
from itertools import islice
from typing import Any, Callable, Dict

from .care import Care
from .engine import Engine
from .fetch import Progress
from .follow import Condition, Followers
from .settings import read
from .state_file import is_spoiled
from .trouble import ClusterAway, OriginAway, Refusal, Trouble
from .verdict import NAMED, verdicts

MARK = "RELEVO "
KINDS = (OriginAway, ClusterAway, Refusal, Trouble)
FULL = (errno.ENOSPC, errno.EDQUOT)
Facts = Dict[str, Any]


def say(text: str) -> None:
    print(MARK + text, flush=True)


def progress(done: Progress) -> None:
    say(json.dumps({"progress": done.facts()}))


def one_pass(engine: Engine, _: argparse.Namespace) -> Facts:
    """Fetch what is new; prove that nothing is missing.

    A database that was being dropped, or cancelled us, gets a second chance.
    """
    unread = engine.sweep() and engine.sweep()
    return {
        "fetched": engine.fetcher.fetched,
        "unread": unread,
        "foreign": engine.databases.foreign(),
        "pending": engine.state.count(),
    }


def reconcile(engine: Engine, given: argparse.Namespace) -> Facts:
    """Compare everything."""
    care = Care(engine)
    return asdict(care.reconcile(repair=given.repair, accept_deletions=given.accept_deletions))


def heal(engine: Engine, _: argparse.Namespace) -> Facts:
    """Fetch what the serving database names and this host has not."""
    engine.mend()
    found = engine.reconcile()
    missing = sum(each.missing for each in found.values())
    return {"missing": missing, "fetched": engine.fetcher.fetched}


def push(engine: Engine, _: argparse.Namespace) -> Facts:
    """Give the origin what it lacks."""
    return Care(engine).push()


def restore(engine: Engine, given: argparse.Namespace) -> Facts:
    """Take files out of the trash."""
    return {"restored": Care(engine).restore(given.day, given.database)}


def judge(engine: Engine, _: argparse.Namespace) -> Facts:
    """Say whether database and files agree."""
    return {"databases": [each.facts() for each in verdicts(engine)]}


VERBS: dict[str, tuple[Callable[[Engine, argparse.Namespace], Facts], bool]] = {
    "pass": (one_pass, False),
    "reconcile": (reconcile, False),
    "verdict": (judge, True),
    "restore": (restore, False),
    "heal": (heal, True),
    "push": (push, True),
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="filestore", description=__doc__)
    made.add_argument("verb", choices=[*VERBS, "follow"])
    made.add_argument("settings", help="the settings of an instance; a pattern for follow")
    made.add_argument(
        "--repair", action="store_true", help="restore files that are damaged at the origin"
    )
    made.add_argument("--accept-deletions", action="store_true")
    made.add_argument("--conditions", default="", help="follow: where to write how it goes")
    made.add_argument("--day", default="")
    made.add_argument("--database", default="")
    return made


def follow(given: argparse.Namespace) -> None:
    """Follow all instances until SIGTERM; write down how it goes, and say what changes."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    told: dict[str, str] = {}

    def tell(conditions: list[Condition]) -> None:
        facts = {"conditions": [vars(each) for each in conditions], "at": time.time()}
        if given.conditions:
            with open(given.conditions + ".new", "w", encoding="utf-8") as file:
                json.dump(facts, file)
            os.replace(given.conditions + ".new", given.conditions)
        for each in conditions:
            if told.get(each.instance) != each.state:
                told[each.instance] = each.state
                say(json.dumps(vars(each)))

    Followers(given.settings, tell).run(ended)


def run(given: argparse.Namespace) -> None:
    verb, serving = VERBS[given.verb]
    engine = Engine(read(given.settings), serving=serving, report=progress)
    try:
        say(json.dumps({"result": short(verb(engine, given))}))
    except sqlite3.DatabaseError as error:
        if not is_spoiled(error):
            raise
        engine.state.put_aside()
        raise Trouble(
            f"the state file of the filestore engine of {engine.settings.instance} is damaged "
            f"({error}); it was put aside as {engine.state.path}.spoiled",
            "run this again: it then compares every file",
        ) from error
    finally:
        engine.close()


def short(facts: Facts) -> Facts:
    """Name no more than some of what may be many, and count them all.

    >>> short({"lost": ["a", "b"], "files": 3})
    {'lost': ['a', 'b'], 'files': 3, 'counts': {'lost': 2}}
    """
    many = {name: value for name, value in facts.items() if isinstance(value, (list, dict))}
    some = {
        name: value[:NAMED] if isinstance(value, list) else dict(islice(value.items(), NAMED))
        for name, value in many.items()
    }
    return {**facts, **some, "counts": {name: len(value) for name, value in many.items()}}


def main(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    sys.setrecursionlimit(10000)  # os.walk goes a call deeper for each folder
    try:
        if given.verb == "follow":
            follow(given)
        else:
            run(given)
    except Trouble as trouble:
        return fail(trouble)
    except (OSError, sqlite3.OperationalError) as error:
        if getattr(error, "errno", 0) not in FULL and "full" not in str(error):
            return unexpected(error)
        return fail(
            Refusal(
                f"the disk is full: {error}",
                "make room on the recovery host; the next pass goes on where this one stopped",
            )
        )
    except Exception as error:  # noqa: BLE001  # a fault of ours, or an answer that nobody foresaw
        return unexpected(error)
    return 0


def unexpected(error: Exception) -> int:
    """Say the whole of it to the log, and a sentence to the runner."""
    traceback.print_exception(type(error), error, error.__traceback__)
    return fail(
        Trouble(
            f"the filestore engine does not understand what it found: {error!r:.500}",
            "read its log under /var/log/relevo on the recovery host",
        )
    )


def fail(trouble: Trouble) -> int:
    kind = next(kind for kind in KINDS if isinstance(trouble, kind)).__name__
    error = {"kind": kind, "message": trouble.message, "hint": trouble.hint}
    say(json.dumps({"error": error}))
    return trouble.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
