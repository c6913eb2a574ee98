"""What is said to the journal of the host."""

from __future__ import annotations

import contextlib
import sys


def say(sentence: str) -> None:
    """Say it to the journal; one that does not listen keeps nobody from acting."""
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)


class Journal:
    """What is wrong, said once."""

    def __init__(self) -> None:
        self.complaint = ""

    def complain(self, sentence: str) -> None:
        """Say what is wrong, once and not at every beat."""
        if sentence != self.complaint:
            self.complaint = sentence
            say(sentence)
