"""What can go wrong here, sorted by what is done next."""

from __future__ import annotations

import sqlite3


class Trouble(Exception):
    """A sentence for the operator, and what to do next."""

    status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class OriginAway(Trouble):
    """The origin does not answer: try again."""

    status = 75


class OriginStrange(Trouble):
    """The origin answers, and not as its gate does."""


class ClusterAway(Trouble):
    """PostgreSQL does not answer, or cancelled a query: try again."""

    status = 76


class ClusterSaysNo(Trouble):
    """PostgreSQL refused a question: of this database alone."""

    def __init__(self, message: str, hint: str = "", *, code: str = "") -> None:
        super().__init__(message, hint)
        self.code = code

    @property
    def keeps_out(self) -> bool:
        """A role may not come in, or may not read what it asked for."""
        return self.code.startswith(("28", "42501"))


class Refusal(Trouble):
    """Going on would lose or break something: decide."""

    status = 77


class Promoted(Refusal):
    """The cluster is no standby any more."""


class Full(Refusal):
    """The disk has no room for more."""


# What concerns an instance as a whole; anything else is the matter of the database that was read.
OF_ALL = (OriginAway, OriginStrange, Refusal, OSError, sqlite3.Error)


def sentence(error: Exception) -> str:
    """Say what went wrong in one line.

    >>> sentence(Trouble("no room")), sentence(OSError(28, "No space left on device"))
    ('no room', 'OSError: [Errno 28] No space left on device')
    """
    return error.message if isinstance(error, Trouble) else f"{type(error).__name__}: {error}"
