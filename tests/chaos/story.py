"""Stories that a seed tells again: a procedure, faults at odd moments, and more buttons."""

import random
from dataclasses import dataclass

PROCEDURES = ("failover", "switchover", "failback", "rsync-filestore", "replicate")
FAULTS = (
    "kill origin", "kill recovery", "kill worker", "cut origin", "cut recovery", "partition",
    "stop walreceiver", "stop walsender", "pause replay", "drop slot", "spoil auto.conf",
    "press again", "press failback", "press failover", "reboot origin",
)  # fmt: skip
LONGEST_WAIT, LONGEST_FAULT = 9.0, 12.0


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how long after the one before, and for how long."""

    what: str
    after: float
    lasts: float


@dataclass(frozen=True)
class Story:
    """One instance, one procedure, some faults."""

    seed: int
    procedure: str
    begins_away: bool
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        """
        >>> print(tell(1))
        1: switchover from home; cut recovery after 1.1 s for 9.4 s
        """
        faults = (f"{each.what} after {each.after} s for {each.lasts} s" for each in self.faults)
        where = "away" if self.begins_away else "home"
        return f"{self.seed}: {self.procedure} from {where}; {', '.join(faults)}"


def tell(seed: int) -> Story:
    """Make the story of a seed, always the same.

    >>> tell(7) == tell(7) != tell(8)
    True
    """
    dice = random.Random(seed)
    procedure = dice.choice(PROCEDURES)
    away = procedure == "failback" or (procedure == "switchover" and dice.random() < 0.5)
    faults = tuple(
        Fault(
            dice.choice(FAULTS),
            round(dice.uniform(0, LONGEST_WAIT), 1),
            round(dice.uniform(1, LONGEST_FAULT), 1),
        )
        for _ in range(dice.choice((1, 1, 2)))
    )
    return Story(seed, procedure, away, faults)
