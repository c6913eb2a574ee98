"""What Relevo writes down on the hosts: the intent of a failover, rewind markers.

What is no part of a procedure (when files were copied, what was told) stands under notes/.
Roles are never read from here. A record tells a later run what an earlier one had begun.
"""

import json
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from blocks.answers import facts, understood
from blocks.errors import CommandFailed, Refused
from blocks.instance import OdooInstance, Place
from blocks.shell import Shell
from tasks import files
from tasks.files import STATE
from tasks.policy import step
from tasks.timing import Stopwatch


def path(instance: OdooInstance, name: str) -> PurePosixPath:
    return STATE / instance.name / f"{name}.json"


def write(place: Place, instance: OdooInstance, name: str, noted: dict[str, Any]) -> None:
    """Write a record, whole and durable, readable by root alone."""
    text = json.dumps(noted, indent=2, sort_keys=True) + "\n"
    files.install(place.host.shell(), path(instance, name), text, mode="600")


def read(place: Place, instance: OdooInstance, name: str) -> dict[str, Any] | None:
    """Read a record; none if there is none."""
    text = files.read(place.host.shell(), path(instance, name))
    if not text:
        return None
    try:
        return facts(text, f"the record {path(instance, name)} on {place}")
    except CommandFailed as error:
        raise Refused(
            f"the record {path(instance, name)} on {place} is spoiled: {error.message}",
            hint="look at both clusters, then move this file away and run again",
        ) from error


def forget(place: Place, instance: OdooInstance, name: str) -> None:
    files.remove(place.host.shell(), path(instance, name))


def stamp(place: Place, instance: OdooInstance, name: str, **noted: object) -> None:
    """Write down that something has succeeded, and when (seconds since 1970)."""
    write(place, instance, name, {"at": datetime.now(UTC).timestamp(), **noted})


def stamped(place: Place, instance: OdooInstance, name: str) -> float | None:
    """When something last succeeded; none if it never has."""
    found = read(place, instance, name)
    with understood(f"the record {path(instance, name)} on {place}"):
        return float(found["at"]) if found and "at" in found else None


def now(shell: Shell) -> str:
    """The host's own time, in UTC."""
    return shell.run(("date", "-u", "+%FT%TZ")).stdout.strip()


@step("note that {instance.recovery} serves {instance.name}")
def note_served(instance: OdooInstance, *, seconds: str, watch: Stopwatch) -> None:
    """Keep when a move to the recovery host worked, and how long it took: the next one's guess.

    Only of a run that made the whole move: one that was retried tells how long a mend took, and
    one that found everything done tells nothing.
    """
    begun = read(instance.recovery, instance, "failover")
    moved = datetime.fromisoformat(begun["time"]) if begun else None
    if moved and moved.timestamp() > watch.begun.timestamp() - 1 and not watch.retried:
        stamp(instance.recovery, instance, "notes/served", seconds=float(seconds))


@step("note the drill of {instance.name}")
def note_drilled(instance: OdooInstance, *, seconds: str) -> None:
    """Keep when a rehearsal ended well, and how long it took."""
    stamp(instance.recovery, instance, "notes/drilled", seconds=float(seconds))


def proof(instance: OdooInstance) -> dict[str, Any] | None:
    """The newest proof that the recovery host can serve an instance: a move there, or a drill."""
    kept = (read(instance.recovery, instance, f"notes/{name}") for name in ("served", "drilled"))
    return max((each for each in kept if each), key=_when, default=None)


def _when(proof: dict[str, Any]) -> float:
    return float(proof["at"])


@step("close the records of the failover of {instance.name}")
def close(instance: OdooInstance) -> None:
    """Forget what was noted for a procedure that has now ended."""
    for place in (instance.recovery, instance.origin):
        forget(place, instance, "failover")
