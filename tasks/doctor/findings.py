"""What the doctor finds: one line a check, in the order of what to fix first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from blocks.plain import plain
from tasks.language.catalogue import HINT
from tasks.language.reader import reading, translated, word

State = Literal["now", "not asked", "replicate", "failover", "failback", "amber", "next", "well"]
# What is fixed first stands first; what follows may only stumble over it.
SHOWN: dict[State, str] = {
    "now": "NOW",
    "not asked": "NOT ASKED",
    "replicate": "BLOCKS REPLICATE",
    "failover": "BLOCKS FAILOVER",
    "failback": "BLOCKS FAILBACK",
    "amber": "amber",
    "next": "next",
    "well": "well",
}
GOOD: tuple[State, ...] = ("next", "well")
WELL, TO_FIX, NOT_ASKED = range(3)
LONGEST = 2000


@dataclass(frozen=True)
class Finding:
    """What one check found, and what fixes it.

    `stumbled` is one that was cut short by an error of a command, not by its own judgement.
    """

    check: str
    state: State
    said: str
    remedy: str = ""
    stumbled: bool = False

    def __str__(self) -> str:
        """
        >>> print(Finding("restart", "replicate", "uno waits for a restart", "restart it"))
        BLOCKS REPLICATE  restart: uno waits for a restart (HINT: restart it)
        """
        hint = f" ({HINT[reading()]}: {translated(self.remedy)})" if self.remedy else ""
        check = ", ".join(map(word, self.check.split(", ")))
        line = " ".join(f"{check}: {translated(self.said)}{hint}".split())
        return f"{_state(self.state)}  {plain(line, longest=LONGEST)}"


def _state(state: State) -> str:
    """Say a state, as wide as the widest of them."""
    return f"{word(SHOWN[state]):<{max(map(len, map(word, SHOWN.values())))}}"


@dataclass(frozen=True)
class Examined:
    """All that was found of one instance."""

    instance: str
    way: str
    findings: Sequence[Finding] = field(default=())

    @property
    def in_order(self) -> list[Finding]:
        """The findings, those to be fixed first first."""
        order = list(SHOWN)
        return sorted(self.findings, key=lambda each: order.index(each.state))

    @property
    def code(self) -> int:
        """0 where all is well, 1 where something is to be fixed, 2 where not all could be asked.

        >>> Examined("a", "x", [Finding("disk", "amber", "few")]).code
        1
        """
        states = {each.state for each in self.findings}
        if "not asked" in states:
            return NOT_ASKED
        return TO_FIX if states - set(GOOD) else WELL

    def lines(self, *, well: bool) -> Iterator[str]:
        """Say all of it; what is well by name, or only how much of it there is."""
        yield f"{self.instance} ({self.way}): {translated(self._verdict())}"
        good = [each for each in self.in_order if each.state == "well"]
        shown = [each for each in self.in_order if well or each.state != "well"]
        yield from (f"  {each}" for each in shown)
        if good and not well:
            yield f"  {_state('well')}  {translated(f'{len(good)} checks')}"

    def _verdict(self) -> str:
        wrong = sum(each.state not in (*GOOD, "not asked") for each in self.findings)
        sentence = f"{wrong} to fix" if wrong else ""
        if self.code == NOT_ASKED:
            sentence = f"{sentence}, not all could be asked".removeprefix(", ")
        return sentence or "all well"


def settled(found: Sequence[Finding], essential: Sequence[str]) -> list[Finding]:
    r"""Say each sentence once; leave out what only stumbled over something essential, and say so.

    >>> lacks = Finding("programs", "replicate", "uno lacks python3")
    >>> fell = Finding("parity", "failover", "python3 failed on uno", stumbled=True)
    >>> again = Finding("layout", "replicate", "uno lacks python3")
    >>> print(*settled([lacks, again, fell], ["programs"]), sep="\n")
    BLOCKS REPLICATE  programs: uno lacks python3
    NOT ASKED         parity: cannot be asked yet (HINT: fix programs, then ask again)
    """
    told = {each.said: each for each in reversed(found) if each.state not in GOOD}
    once = [each for each in found if told.get(each.said, each) is each]
    first = [each.check for each in once if each.check in essential and each.state == "replicate"]
    fallen = [each for each in once if each.stumbled]
    if not first or not fallen:
        return once
    rest = Finding(
        ", ".join(each.check for each in fallen), "not asked", "cannot be asked yet",
        f"fix {', '.join(first)}, then ask again",
    )  # fmt: skip
    return [*(each for each in once if not each.stumbled), rest]


def code(examined: Sequence[Examined]) -> int:
    """The exit code of all: that of the worst."""
    return max((each.code for each in examined), default=WELL)


def summary(examined: Sequence[Examined]) -> str:
    """
    >>> summary([Examined("a", "x"), Examined("b", "x", [Finding("disk", "amber", "few")])])
    '2 instances: 1 well, 1 with something to fix, 0 that could not be asked'
    """
    well, wrong, mute = (sum(e.code == n for e in examined) for n in (WELL, TO_FIX, NOT_ASKED))
    return (
        f"{len(examined)} instances: {well} well, {wrong} with something to fix, {mute} that "
        "could not be asked"
    )
