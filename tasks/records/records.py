"""What Relevo writes down on the hosts: the intent of a failover, rewind markers.

What is no part of a procedure (when files were copied, what was told) stands under notes/.
Roles are never read from here. A record tells a later run what an earlier one had begun.
"""

import time
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks.host import files, together
from tasks.host.files import STATE
from tasks.host.together import Look, Write
from tasks.records.kinds import Drilled, Failover, Proof, Served, Stamp
from tasks.records.schema import R, Record, parse
from tasks.run.step import log, step
from tasks.run.timing import Stopwatch

NOW = ("date", "-u", "+%FT%TZ")


def path(instance: OdooInstance, kind: type[Record]) -> PurePosixPath:
    return STATE / instance.name / f"{kind.name}.json"


def look(instance: OdooInstance, kind: type[Record]) -> Look:
    """What a record is asked by, together with other things."""
    return ("read", str(path(instance, kind)))


def as_write(instance: OdooInstance, noted: Record) -> Write:
    """A record that is written together with other files."""
    return Write(path(instance, type(noted)), noted.as_text(), "600")


def write(place: Place, instance: OdooInstance, noted: Record) -> None:
    """Write a record, whole and durable, readable by root alone."""
    shell = place.host.shell()
    files.install(shell, path(instance, type(noted)), noted.as_text(), mode="600")


def read(place: Place, instance: OdooInstance, kind: type[R]) -> R | None:
    """Read a record; none if there is none.

    A note that cannot be read is none either: it keeps no customer from being served, and the next
    one is written over it.

    :raises Refused: for a record that decides, and is spoiled or of a newer Relevo.
    """
    text = files.read(place.host.shell(), path(instance, kind))
    if not text:
        return None
    try:
        return understood(place, instance, kind, text)
    except Refused as error:
        if kind.decides:
            raise
        log().warning("%s; it is ignored", error.message)
        return None


def understood(place: Place, instance: OdooInstance, kind: type[R], text: str) -> R:
    """Read a record's text that was fetched with another question."""
    return parse(kind, text, f"the record {path(instance, kind)} on {place}")


def forget(place: Place, instance: OdooInstance, kind: type[Record]) -> None:
    files.remove(place.host.shell(), path(instance, kind))


def record_success(place: Place, instance: OdooInstance, kind: type[Stamp]) -> None:
    """Write down that something has succeeded, and when."""
    write(place, instance, kind(at=time.time()))


def last_success(place: Place, instance: OdooInstance, kind: type[Stamp]) -> float | None:
    """When something last succeeded; none if it never has."""
    found = read(place, instance, kind)
    return found.at if found else None


def now(shell: Shell) -> str:
    """The host's own time, in UTC."""
    return together.ask(shell, NOW).stdout.strip()


@step("note that {instance.recovery} serves {instance.name}")
def note_served(instance: OdooInstance, watch: Stopwatch) -> None:
    """Keep when a move to the recovery host worked, and how long it took: the next one's guess.

    Only of a run that made the whole move: one that was retried tells how long a mend took, and
    one that found everything done tells nothing.
    """
    begun = read(instance.recovery, instance, Failover)
    if begun and begun.time.timestamp() > watch.begun.timestamp() - 1 and not watch.retried:
        write(instance.recovery, instance, Served(at=time.time(), seconds=float(watch.seconds)))


@step("note the drill of {instance.name}")
def note_drilled(instance: OdooInstance, *, seconds: str) -> None:
    """Keep when a drill ended well, and how long it took."""
    write(instance.recovery, instance, Drilled(at=time.time(), seconds=float(seconds)))


def proof(instance: OdooInstance) -> Proof | None:
    """The newest proof that the recovery host can serve an instance: a move there, or a drill."""
    kinds: tuple[type[Proof], ...] = (Served, Drilled)
    kept = [read(instance.recovery, instance, kind) for kind in kinds]
    return max((each for each in kept if each), key=lambda proof: proof.at, default=None)


@step("close the records of the failover of {instance.name}")
def close(instance: OdooInstance) -> None:
    """Forget what was noted for a procedure that has now ended."""
    for place in (instance.recovery, instance.origin):
        forget(place, instance, Failover)
