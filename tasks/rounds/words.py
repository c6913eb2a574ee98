"""How a round over the instances of a recovery host went, and what is said of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.run.moments import span

Ended = Literal["copied", "alone", "slow", "failed"]


@dataclass(frozen=True)
class Pass:
    """How it went with one instance; `said` is why it was not copied, and `hint` what to do."""

    instance: str
    ended: Ended
    seconds: float = 0.0
    said: str = ""
    hint: str = ""
    refused: bool = False

    def __str__(self) -> str:
        """
        >>> print(Pass("vps_1", "copied", 4.2))
        copied in 4 s
        >>> print(Pass("vps_1", "alone", said="its schedule is off"))
        left alone: its schedule is off
        >>> print(Pass("vps_1", "failed", 9.0, "uno did not answer", "see that it is up"))
        failed after 9 s: uno did not answer (see that it is up)
        """
        if self.ended == "copied":
            return f"copied in {span(self.seconds)}"
        if self.ended == "alone":
            return f"left alone: {self.said}"
        if self.ended == "slow":
            return f"not done after {span(self.seconds)}: it goes on in a run of its own"
        hint = f" ({self.hint})" if self.hint else ""
        return f"failed after {span(self.seconds)}: {self.said}{hint}"


def title(recovery: str, passes: Sequence[Pass]) -> str:
    """
    >>> title("due", [Pass("vps_1", "copied"), Pass("vps_2", "failed")])
    'the files of 1 of 2 instances on due were copied'
    """
    copied = sum(each.ended == "copied" for each in passes)
    return f"the files of {copied} of {len(passes)} instances on {recovery} were copied"


def failure(recovery: str, passes: Sequence[Pass]) -> str:
    """Name those that were not copied, each with its reason; nothing where there are none.

    >>> print(failure("due", [Pass("vps_1", "copied"), Pass("vps_2", "failed", said="no route")]))
    1 of 2 instances on due were not copied
    vps_2: no route
    >>> failure("due", [Pass("vps_1", "alone")])
    ''
    """
    failed = [each for each in passes if each.ended == "failed"]
    if not failed:
        return ""
    head = f"{len(failed)} of {len(passes)} instances on {recovery} were not copied"
    return "\n".join([head, *(f"{each.instance}: {each.said}" for each in failed)])


def is_known(instance: str, sentence: str, before: str) -> bool:
    """Tell whether the round before has said this of an instance, but for its figures.

    >>> before = "1 of 3 instances\\nvps_1: 13 of 41 files are gone\\nHINT: look"
    >>> is_known("vps_1", "12 of 40 files are gone", before)
    True
    >>> is_known("vps_2", "12 of 40 files are gone", before), is_known("vps_1", "shut", before)
    (False, False)
    """
    _, named, said = before.partition(f"\n{instance}: ")
    return bool(named) and _without_figures(said).startswith(_without_figures(sentence))


def _without_figures(text: str) -> str:
    return re.sub(r"\d+", "0", text)
