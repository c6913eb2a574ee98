"""How a step ended that keeps nobody waiting: a fact to decide by, and a sentence to show."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """Whether all is done that was this step's to do, and the sentence that says so, or why not.

    What the inventory leaves to a person is not the step's: the sentence names it.
    """

    done: bool
    sentence: str
