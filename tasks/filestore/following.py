"""How it goes with the follower of an instance's files: what it wrote down, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blocks.plain import plain
from tasks.run.moments import span

SILENT_SECONDS = 60.0  # it writes every five
LEAST_SECONDS = 300.0  # the thread that proves may rest for two minutes


@dataclass(frozen=True)
class Following:
    """One instance, as the follower of its host last wrote it down.

    What has never been done counts from when the follower began; one of then says no ages.
    """

    state: str
    said: str
    written_age: float
    ages: Mapping[str, float]

    def objection(self, *, patience_seconds: float, up_seconds: float) -> str:
        """Say why new files do not come in, if that is so for longer than the patience.

        A standby that came up only now cannot have been followed for longer.

        >>> seen = Following("following", "", 3.0, {"looked at the database": 3.2})
        >>> seen.objection(patience_seconds=600, up_seconds=9000)
        ''
        >>> hung = Following("following", "", 3.0, {"looked at the database": 700.0})
        >>> hung.objection(patience_seconds=600, up_seconds=9000)
        'the follower of its files has not looked at the database for 12 min: following'
        >>> hung.objection(patience_seconds=600, up_seconds=20)
        ''
        >>> away = Following("away", "no route", 3.0, {"proved that none is missing": 700.0})
        >>> away.objection(patience_seconds=600, up_seconds=9000)
        'the follower of its files has not proved that none is missing for 12 min: away (no route)'
        >>> Following("following", "", 90.0, {}).objection(patience_seconds=600, up_seconds=9000)
        'the follower of its files has said nothing for 90 s'
        """
        if abs(self.written_age) > SILENT_SECONDS:
            return f"the follower of its files has said nothing for {span(self.written_age)}"
        limit = max(patience_seconds, LEAST_SECONDS)
        for what, age in self.ages.items():
            if min(age, up_seconds) > limit:
                return f"the follower of its files has not {what} for {span(age)}: {self}"
        return ""

    def __str__(self) -> str:
        return f"{self.state} ({self.said})" if self.said else self.state


def read(facts: Mapping[str, Any], instance: str, *, now: float) -> Following | None:
    """Read what a follower wrote of all instances; none if it says nothing of this one.

    >>> it = {"instance": "vps_1", "state": "following", "said": "",
    ...     "begun": 90.0, "looked": 97.0, "proved": 0.0}
    >>> read({"at": 99.0, "conditions": [it]}, "vps_1", now=100.0)
    ... # doctest: +NORMALIZE_WHITESPACE
    Following(state='following', said='', written_age=1.0,
        ages={'looked at the database': 2.0, 'proved that none is missing': 9.0})
    >>> read({"at": 99.0, "conditions": []}, "vps_1", now=100.0)
    """
    at = float(facts["at"])
    for each in facts["conditions"]:
        if each["instance"] == instance:
            done = {"looked": "looked at the database", "proved": "proved that none is missing"}
            ages = {
                words: at - float(each[name] or each["begun"])
                for name, words in done.items()
                if name in each
            }
            return Following(plain(str(each["state"])), plain(str(each["said"])), now - at, ages)
    return None
