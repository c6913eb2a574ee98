"""Stories that a seed tells again: a procedure, faults at odd moments, and more buttons."""

import random
from dataclasses import dataclass

PROCEDURES = (
    "failover", "forced failover", "switchover", "failback", "rsync-filestore", "replicate",
)  # fmt: skip
FAULTS = (
    "kill origin", "kill recovery", "kill worker", "cut origin", "cut recovery", "partition",
    "stop walreceiver", "stop walsender", "pause replay", "drop slot", "spoil auto.conf",
    "press again", "press failback", "press failover", "reboot origin", "full disk",
)  # fmt: skip
LATER = (  # the seeds before tell what they told before there were these
    "origin an hour ahead", "origin an hour behind",
    "recovery an hour ahead", "recovery an hour behind", "origin unheard", "recovery unheard",
)  # fmt: skip
FIRST_WITH_LATER = 400
SILENT = ("kill origin", "cut origin")
LONGEST_WAIT, LONGEST_FAULT, LONGEST_SILENCE = 18.0, 12.0, 40.0


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

    @property
    def button(self) -> str:
        """The procedure by its name in Prefect."""
        return self.procedure.removeprefix("forced ")

    @property
    def before(self) -> int:
        """How many faults come before the button: up to the silence of a forced failover."""
        if not self.forced:
            return 0
        return next(n for n, fault in enumerate(self.faults, 1) if fault.what in SILENT)

    @property
    def forced(self) -> bool:
        """The origin falls silent first, and the operator declares that it is down."""
        return self.procedure == "forced failover"

    def __str__(self) -> str:
        """
        >>> print(tell(2))
        2: failover from home; kill worker after 6.5 s for 2.9 s
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
    among = FAULTS + LATER if seed >= FIRST_WITH_LATER else FAULTS
    faults = [_fault(dice, among) for _ in range(dice.choice((1, 1, 2)))]
    if procedure == "forced failover":
        faults.insert(0, _fault(dice, SILENT, longest=LONGEST_SILENCE))
        if dice.random() < 0.5:  # what is written now does not reach the standby any more
            faults.insert(0, Fault("partition", 0.0, LONGEST_SILENCE))
    return Story(seed, procedure, away, tuple(faults))


def _fault(dice: random.Random, among: tuple[str, ...], *, longest: float = LONGEST_FAULT) -> Fault:
    what, after = dice.choice(among), dice.uniform(0, LONGEST_WAIT)
    return Fault(what, round(after, 1), round(dice.uniform(1, longest), 1))
