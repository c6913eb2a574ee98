"""The trash of deleted files: its days are kept for the retention, then deleted.

Neither the names of the days nor the times of the folders count, nor the time since a day was first
seen: a clock that is 40 days ahead for an hour would delete what was put there today. What counts
is how long a day was seen to lie there, look by look, and no look counts for more than a day.
"""

import re
import time
from collections.abc import Iterable
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.instance import OdooInstance
from tasks.host import files
from tasks.records import records
from tasks.records.kinds import Trash
from tasks.run.step import log, step

DAY = 86400.0
RARELY_SECONDS = 3600.0  # between two looks that are written down, where nothing else has changed
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
PURGE_SECONDS = 3600


def grown(known: dict[str, float], names: Iterable[str], passed: float) -> dict[str, float]:
    """How long each has been seen by now, if it was seen this long ago.

    >>> grown({"a": 100.0, "gone": 5.0}, ["a", "new"], 60.0)
    {'a': 160.0, 'new': 0.0}
    >>> grown({"a": 0.0}, ["a"], 40 * DAY), grown({"a": 7.0}, ["a"], -40 * DAY)
    ({'a': 86400.0}, {'a': 7.0})
    """
    counted = min(max(passed, 0.0), DAY)
    return {name: known[name] + counted if name in known else 0.0 for name in names}


@step("purge the trash of {instance.name}")
def purge(instance: OdooInstance) -> None:
    """Delete the days of the trash that have lain there for longer than the retention."""
    days = _days(instance)
    if not days:
        return
    noted = records.read(instance.recovery, instance, Trash) or Trash(at=time.time())
    known, passed = noted.seen, time.time() - noted.at
    if {*known} == {*days} and 0 <= passed < RARELY_SECONDS:
        return
    seen = grown(known, days, passed)
    limit = instance.trash_days * DAY
    old = [name for name in days if seen[name] > limit]
    if old:
        _delete(instance, old)
    left = {name: seconds for name, seconds in seen.items() if name not in old}
    sizes = _sizes(instance, list(left), noted.sizes)
    records.write(instance.recovery, instance, Trash(at=time.time(), seen=left, sizes=sizes))


def _days(instance: OdooInstance) -> list[str]:
    """What the trash is made of: a folder for each day."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    if not files.exists(shell, instance.trash):
        return []
    argv = (
        "find", str(instance.trash), "-mindepth", "1", "-maxdepth", "1", "-type", "d",
        "-printf", r"%f\0",
    )  # fmt: skip
    said = shell.run(argv, user=user).stdout.split("\0")
    return sorted(name for name in said if NAME.fullmatch(name) and name not in {".", ".."})


def _sizes(instance: OdooInstance, days: list[str], known: dict[str, int]) -> dict[str, int]:
    """What each day takes: one that is over does not change, and yesterday just was."""
    if not days:
        return {}
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    due = {day for day in days if day not in known} | set(sorted(days)[-2:])
    paths = {str(instance.trash / day): day for day in sorted(due)}
    argv = ("nice", "-n", "19", "ionice", "-c", "3", "du", "-sxB1", "--", *paths)
    said = shell.run(argv, user=user, check=False, timeout_seconds=PURGE_SECONDS).stdout
    with understood(f"what du says of {instance.trash}"):
        lines = (line.split("\t", 1) for line in said.splitlines())
        found = {paths[path]: int(count) for count, path in lines if path in paths}
    return {day: size for day, size in known.items() if day in days} | found


def _delete(instance: OdooInstance, days: list[str]) -> None:
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    log().info("deleting the trash of %s: %s", instance.name, ", ".join(days))
    paths = (str(PurePosixPath(instance.trash) / name) for name in days)
    argv = ("rm", "-rf", "--one-file-system", "--", *paths)
    shell.run(argv, user=user, timeout_seconds=PURGE_SECONDS)
