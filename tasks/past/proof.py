"""The proof of the time machine: a random second of what it has, opened as somebody would."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance
from tasks.archive import archive
from tasks.past import scratch
from tasks.records import records
from tasks.records.kinds import Drilled
from tasks.records.proven import Proven
from tasks.run.step import log, step

# What a drill opens: now and the past in turn, or one of them.
Opens: TypeAlias = Literal["in turn", "now", "past"]
SAID = 300


@dataclass
class Trial:
    """What has come of it, while it is under way."""

    missing: int = 0


@step("choose what the drill of {instance.name} opens")
def choose(instance: OdooInstance, opens: Opens) -> datetime | None:
    """Choose a random second of the past; none where it is the turn of now.

    In turn is in turn: after a drill of now comes one of the past, if anything is kept yet.
    """
    if opens == "now" or (opens == "in turn" and not _is_turn(instance)):
        return None
    scratch.require_kept(instance)
    moment = archive.look(instance).second(secrets.SystemRandom().random())
    if moment is not None:
        return datetime.fromtimestamp(moment, UTC)
    if opens == "in turn":
        log().warning("the time machine of %s has nothing yet that could be opened", instance.name)
        return None
    raise Refused(
        f"the time machine of {instance.name} has no whole base backup",
        hint="run relevo check, which says why",
    )


def _is_turn(instance: OdooInstance) -> bool:
    if instance.time_machine is None:
        return False
    proven = records.read(instance.recovery, instance, Proven)
    drilled = records.read(instance.recovery, instance, Drilled)
    return drilled is not None and (proven is None or proven.at < drilled.at)


@contextmanager
def noted(instance: OdooInstance, at: datetime) -> Iterator[Trial]:
    """Keep what comes of a trial: what could not be opened is no less than a fault."""
    trial = Trial()
    try:
        yield trial
    except (CommandFailed, Refused) as error:
        why = " ".join(error.message.split())[:SAID]
        note(instance, Proven(at=time.time(), moment=at.timestamp(), failed=why))
        raise
    note(instance, Proven(at=time.time(), moment=at.timestamp(), missing=trial.missing))


@step("note the proof of the time machine of {instance.name}")
def note(instance: OdooInstance, proven: Proven) -> None:
    """Keep which second was tried, and what came of it, for the next check."""
    records.write(instance.recovery, instance, proven)
