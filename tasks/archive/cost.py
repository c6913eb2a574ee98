"""What the past of an instance costs in a day, of what was kept and not of what was guessed: pure.

WAL, and a share of a base backup, are the program's figures; deleted files are those of the trash.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from blocks.time_machine import TimeMachine
from tasks.archive.kept import Kept
from tasks.run.moments import DAY, HOUR, size

WEEK = 7 * DAY


@dataclass(frozen=True)
class Cost:
    """Bytes a day by what they are of; None is what was not measured for long enough."""

    wal: float | None
    base: float | None
    trash: float | None

    def __str__(self) -> str:
        """
        >>> str(Cost(2e8, 5e7, 1e6)), str(Cost(None, 5e7, 0.0))
        ('251 MB a day (WAL 200 MB, base backups 50 MB, deleted files 1.0 MB)', \
'its cost of a day is not measured yet')
        """
        if self.wal is None or self.base is None or self.trash is None:
            return "its cost of a day is not measured yet"
        return (
            f"{size(self.wal + self.base + self.trash)} a day (WAL {size(self.wal)}, base backups "
            f"{size(self.base)}, deleted files {size(self.trash)})"
        )


def measured(
    kept: Kept, policy: TimeMachine, sizes: Mapping[str, int], seen: Mapping[str, float]
) -> Cost:
    """Put the figures together; the sizes are those of the days of the trash."""
    base = None if kept.base is None else kept.base / min(policy.base_days, policy.days)
    return Cost(kept.wal_a_day, base, trash_a_day(sizes, seen))


def trash_a_day(sizes: Mapping[str, int], seen: Mapping[str, float]) -> float | None:
    """What a day puts into the trash, of the last week; `seen` is for how long each has lain there.

    >>> trash_a_day({"old": 900, "a": 100, "b": 320}, {"old": 9 * DAY, "a": 6 * DAY, "b": 60.0})
    60.0
    >>> trash_a_day({"a": 100}, {"a": 0.0}), trash_a_day({}, {})
    (None, 0.0)
    """
    if not seen:
        return 0.0
    passed = min(WEEK, max(seen.values()))
    if passed < HOUR:
        return None
    return sum(sizes.get(day, 0) for day, age in seen.items() if age <= WEEK) / passed * DAY
