"""Do database and files agree: measured now, with the losses by name."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from functools import partial

from . import decide, doubt, questions
from .decide import ABSENT, BAD, LOST, QUEUED
from .engine import Engine
from .wire import Row

NAMED = 1000
WORDS = 200  # characters of what customers call their documents
WHY = {
    QUEUED: "not fetched yet",
    ABSENT: "not at the origin: Odoo's cleaning may have deleted it, or it is lost",
    LOST: "lost at the origin",
    BAD: "spoiled at the origin",
}


@dataclass(frozen=True)
class Loss:
    """A document whose file is not here."""

    database: str
    attachment: int
    name: str
    record: str
    author: str
    created: str
    file: str
    why: str


@dataclass
class Verdict:
    """One database: how many files, what is missing, and up to where both agree."""

    database: str
    rows: int = 0
    missing: int = 0
    wrong: int = 0
    read_lsn: str = ""
    agreed_lsn: str = ""
    agreed_age_seconds: float | None = None
    oldest_pending_seconds: float = 0.0
    losses: list[Loss] = field(default_factory=list)
    unread: str = ""
    foreign: bool = False
    known_seconds: float = 0.0
    elsewhere: int = 0
    storage: str = ""
    damaged: int = 0
    damage: str = ""

    def facts(self) -> dict[str, object]:
        return asdict(self)


def verdicts(engine: Engine) -> list[Verdict]:
    """Judge every database by what the engine knows; nothing is read from the origin."""
    ours = engine.databases
    known = ours.read(engine.cluster)
    for name in known:
        ours.alone(name, partial(engine.look_again, name))
    names = [*known, *(name for name in ours.barred if name not in known)]
    since = engine.state.seen({name: ours.oids[name] for name in names})
    found, left, now = [_known(engine, name) for name in names], NAMED, time.time()
    for each in found:
        each.known_seconds = now - since[each.database]
        if each.database in known:
            ours.twice(each.database, partial(_ask, engine, each))
        if barred := ours.barred.get(each.database):
            each.unread, each.foreign = barred
        each.losses = each.losses[:left]
        left -= len(each.losses)
    return found


def _known(engine: Engine, database: str) -> Verdict:
    """What is known of a database without asking it."""
    mark, pending = engine.state.watermark(database), engine.state.pending(database)
    now = time.time()
    verdict = Verdict(
        database,
        missing=sum(each.state != BAD for each in pending),
        wrong=sum(each.state == BAD for each in pending),
        oldest_pending_seconds=max((now - each.first_seen for each in pending), default=0.0),
    )
    if mark is not None and mark.guard.database_oid == engine.databases.oids.get(database):
        verdict.read_lsn, verdict.agreed_lsn = mark.lsn, mark.agreed_lsn
        verdict.agreed_age_seconds = now - mark.agreed_at if mark.agreed_at else None
    return verdict


def _ask(engine: Engine, verdict: Verdict) -> None:
    database = verdict.database
    if engine.cluster.ask(database, questions.TABLE)[0][0] != "t":
        return
    rows, elsewhere, storage = engine.cluster.ask(database, questions.COUNT)[0]
    verdict.rows, verdict.elsewhere = int(rows or 0), int(elsewhere or 0)
    verdict.storage = str(storage or "")
    damaged = damage(engine, database)
    verdict.damaged = len(damaged)
    verdict.damage = examples(damaged)
    pending = engine.state.pending(database)[:NAMED]
    why = {each.key.name: each.why or WHY[each.state] for each in pending}
    verdict.losses = losses(engine, database, {**dict([*damaged.items()][:NAMED]), **why})


def damage(engine: Engine, database: str) -> dict[str, str]:
    """Look at every file, and name those that were right here and are not, with the reason.

    Nothing is changed. What is wanted anyway, or came only now, is no damage. Where there are so
    many files that a look takes long, one that was good is not repeated for a while.
    """
    begun, since, rests = time.time(), engine.trusted(database), f"rests/{database}"
    if 0 < float(engine.state.fact(rests) or 0) - begun <= decide.LONGEST_REST_SECONDS:
        return {}
    rows = engine.cluster.session(database).stream(questions.SIZES)
    looked = doubt.damage(engine.store, database, rows, since)
    found = {key.name: why for key, why in looked}
    if some := [*found][:NAMED]:
        known = _known_otherwise(engine, database, some)
        found = {name: why for name, why in found.items() if name not in known}
    if not found:
        engine.trust(database, begun)
        took = time.time() - begun
        engine.state.note(rests, str(begun + took + decide.rest_after_look(took)))
    return found


def _known_otherwise(engine: Engine, database: str, names: list[str]) -> set[str]:
    """Which of some files that seem damaged are wanted, new, unnamed or here by now."""
    known: set[str] = set()
    head = engine.head(engine.cluster, database)
    if head.in_recovery:
        mark = engine.state.watermark(database)
        if mark is None or not decide.may_continue(mark.guard, mark.xmin, head):
            return set(names)  # the next scan compares everything
        since = questions.watermark(mark.xmin)
        rows = engine.cluster.ask(database, questions.CHANGED_OF, since, names)
        known = {str(row[0]) for row in rows}
    known |= {each.key.name for each in engine.state.pending(database)}
    named = {str(row[0]) for row in engine.cluster.ask(database, questions.STILL_KNOWN, names)}
    again: list[Row] = [[name[:-40], name[-40:]] for name in names]
    still = {key.name for key, _ in doubt.damage(engine.store, database, again, float("-inf"))}
    return {name for name in names if name in known or name not in named or name not in still}


def examples(damaged: dict[str, str]) -> str:
    """Count files by what is wrong with them, and name one of each.

    >>> examples({"ab/1": "spoiled here", "cd/2": "spoiled here", "ab/3": "deleted here"})
    '1 deleted here (ab/3), 2 spoiled here (ab/1)'
    """
    kinds: dict[str, list[str]] = {}
    for name, why in sorted(damaged.items()):
        kinds.setdefault(why, []).append(name)
    return ", ".join(f"{len(names)} {why} ({names[0]})" for why, names in sorted(kinds.items()))


def losses(engine: Engine, database: str, why: dict[str, str]) -> list[Loss]:
    """Name the documents behind the files that are missing."""
    if not why:
        return []
    rows = engine.cluster.ask(database, questions.BEHIND, list(why))
    return [
        Loss(
            database,
            int(number or 0),
            str(name)[:WORDS],
            str(record)[:WORDS],
            str(author)[:WORDS],
            str(created)[:WORDS],
            str(file),
            why[str(file)],
        )
        for number, name, record, author, created, file in rows
    ]
