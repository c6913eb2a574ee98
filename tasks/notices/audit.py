"""What is done to an instance, written down on its hosts as it begins and as it ends.

The history stops no procedure: a line that cannot be written is a warning. What a schedule copies
is nobody's act, and stands among Prefect's runs.
"""

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from blocks.errors import RelevoError
from blocks.instance import OdooInstance, Place
from tasks.host import lock
from tasks.records import history
from tasks.records.history import Entry
from tasks.run.act import ACT, Act
from tasks.run.desk import desk
from tasks.run.step import log

BY_SCHEDULE = "the schedule"


@contextmanager
def noted(
    instance: OdooInstance, procedure: str, *, reason: str = "", person: str = ""
) -> Iterator[None]:
    """Write down who has this done and why: once it holds the lock, and how it has ended.

    What never holds the lock changes nothing, and is not written down.
    """
    run = desk().run()
    if run and run.by_schedule and procedure in lock.YIELDING:
        yield
        return
    act = Act(
        lambda act: _write(instance, instance.recovery, _entry(procedure, act)),
        person=person or (BY_SCHEDULE if run and run.by_schedule else login()),
        reason=reason,
    )
    token = ACT.set(act)
    try:
        yield
    except Exception as error:
        _end(instance, procedure, act, error)
        raise
    else:
        _end(instance, procedure, act)
    finally:
        ACT.reset(token)


def login() -> str:
    """The login of whoever sits at this shell; on a page of Prefect's nobody is known."""
    if desk().run():
        return ""
    if found := os.environ.get("SUDO_USER"):
        return found
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"  # of a container, for which nobody has named it


def _end(instance: OdooInstance, procedure: str, act: Act, error: Exception | None = None) -> None:
    """Write how it ended; a run that lost its lock writes nothing, for another is at work."""
    if act.begun is None or act.lost():
        return
    ended = replace(
        _entry(procedure, act),
        ended=datetime.now(UTC),
        outcome="failed" if error else "done",
        said=error.message if isinstance(error, RelevoError) else str(error or ""),
    )
    for place in (instance.recovery, instance.origin):
        # A host that this run has not spoken to may be dead, and nobody waits for it.
        if place.host.shell().is_open():
            _write(instance, place, ended)


def _entry(procedure: str, act: Act) -> Entry:
    assert act.begun is not None, "only what has begun is written down"
    return Entry(
        run=_run(), procedure=procedure, person=act.person, reason=act.reason,
        runner=socket.gethostname(), begun=act.begun,
    )  # fmt: skip


def _run() -> str:
    """The run as it is found again: its id in Prefect, or the file in which a shell keeps it."""
    at = desk()
    run = at.run()
    return run.id if run else Path(at.journal).name or "a shell"


def _write(instance: OdooInstance, place: Place, entry: Entry) -> None:
    try:
        history.append(place, instance, entry)
    except RelevoError as error:
        what = f"{entry.procedure} of {instance.name}"
        log().warning("%s is not in the history on %s: %s", what, place, error.message)
