"""What can go wrong here, sorted by what is done next."""

from __future__ import annotations


class Trouble(Exception):
    """A sentence for the operator, and what to do next."""

    status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class OriginAway(Trouble):
    """The origin does not answer: try again."""

    status = 75


class ClusterAway(Trouble):
    """PostgreSQL does not answer, or cancelled a query: try again."""

    status = 76


class ClusterSaysNo(Trouble):
    """PostgreSQL refused a question: of this database alone."""


class Refusal(Trouble):
    """Going on would lose or break something: decide."""

    status = 77


class Promoted(Refusal):
    """The cluster is no standby any more."""


class Full(Refusal):
    """The disk has no room for more."""
