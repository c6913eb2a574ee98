"""What the board tells as events: each alarm once, and each change of place."""

from collections.abc import Sequence
from dataclasses import replace

from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance
from tasks.board.alarms import Measured, Told, alarms
from tasks.board.board import limits
from tasks.board.words import Judged
from tasks.notices import emitter, events
from tasks.records import kinds, records
from tasks.records.kinds import ToldAway
from tasks.run.step import log, step


@step("tell what has changed")
def tell(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> None:
    """Emit an event for each alarm that was not there before, and for each change of place."""
    for instance, (measured, _, _) in zip(instances, rows, strict=True):
        if measured.busy:
            if measured.served == "recovery":
                emitter.emit(instance.name, events.RESTING, "the recovery host serves")
            continue
        try:
            if measured.roles:
                _tell(instance, measured)
            elif measured.synchronous is not None:
                _tell_away(instance, measured)
        except (Unreachable, CommandFailed, Refused) as error:
            log().warning("%s", error.message)


def _tell(instance: OdooInstance, measured: Measured) -> None:
    kept = records.read(instance.recovery, instance, kinds.Told) or kinds.Told()
    if (kept.at or 0) > measured.at:
        return  # somebody has moved it and told so since it was measured
    told = Told(kept.alarms, kept.seen)
    if measured.synchronous is not None:
        told = replace(told, alarms=(*told.alarms, *_adopt_origin_alarms(instance)))
    told = _tell_new(instance, measured, told)
    served = kept.served or ""
    place = served if measured.two_writers else measured.served or served
    if kept.served not in {None, place}:
        named = instance.recovery if place == "recovery" else instance.origin
        emitter.emit(instance.name, events.SERVED, f"{instance.name} is served from {named} now")
    if place == "recovery":
        emitter.emit(instance.name, events.RESTING, "the recovery host serves")
    after = replace(kept, alarms=told.alarms, seen=told.seen, served=place)
    if after != kept:
        records.write(instance.recovery, instance, after)


def _tell_new(instance: OdooInstance, measured: Measured, told: Told) -> Told:
    """Tell what has not been told yet; give what is to be kept of it."""
    now = alarms(measured, limits(instance))
    told, due = told.after(now)
    for name in due:
        emitter.emit(instance.name, name, now[name])
    return told


def _tell_away(instance: OdooInstance, measured: Measured) -> None:
    """Tell what only the origin knows, which keeps the note of it meanwhile."""
    kept = records.read(instance.origin, instance, ToldAway) or ToldAway()
    told = Told(kept.alarms, kept.seen)
    after = _tell_new(instance, measured, told)
    if after != told:
        noted = ToldAway(alarms=after.alarms, seen=after.seen)
        records.write(instance.origin, instance, noted)


def _adopt_origin_alarms(instance: OdooInstance) -> tuple[str, ...]:
    """What was told while the recovery host was away; from now on that one keeps it."""
    kept = records.read(instance.origin, instance, ToldAway)
    if kept is None:
        return ()
    records.forget(instance.origin, instance, ToldAway)
    return kept.alarms
