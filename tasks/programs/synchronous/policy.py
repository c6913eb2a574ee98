"""What follows from how things are, and in which words that is said."""

from __future__ import annotations

STEADY_SECONDS = 5.0
LATE_SECONDS = 3.0


def choose(
    *,
    on: bool,
    strong: bool,
    claimed: bool,
    ready: bool,
    away: float,
    steady: float,
    go_on: float | None,
) -> str:
    """What to do at a primary; `go_on` are the seconds of the policy, none where it is to wait.

    >>> usual = {"on": True, "strong": True, "claimed": True, "ready": True, "away": 0.0,
    ...     "steady": 9.0}
    >>> choose(**usual, go_on=5.0), choose(**{**usual, "claimed": False}, go_on=None)
    ('', 'claim')
    >>> choose(**{**usual, "away": 5.0}, go_on=5.0), choose(**{**usual, "away": 9e9}, go_on=None)
    ('go on', '')
    >>> gone = {**usual, "on": False, "claimed": False}
    >>> choose(**gone, go_on=5.0), choose(**{**gone, "steady": 1.0}, go_on=5.0)
    ('wait', '')
    >>> choose(**{**usual, "on": False}, go_on=None)
    'withdraw'
    """
    if claimed and not (on and strong):
        return "withdraw"
    if on and go_on is not None and away >= go_on:
        return "go on"
    if on:
        return "claim" if ready and not claimed else ""
    return "wait" if steady >= STEADY_SECONDS else ""


def state(*, on: bool, claimed: bool, gone: bool, away: float) -> str:
    """How things are, in the words of the file of state.

    >>> state(on=True, claimed=True, gone=False, away=0), state(on=True, claimed=True, gone=False,
    ...     away=9), state(on=False, claimed=False, gone=True, away=9)
    ('synchronous', 'waiting', 'gone on')
    """
    if on and away >= LATE_SECONDS:
        return "waiting"
    if on:
        return "synchronous" if claimed else "beginning"
    return "gone on" if gone else "asynchronous"
