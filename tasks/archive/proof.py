"""Whether the past could be opened when a drill last tried, and what that is worth now: pure."""

from collections.abc import Iterator

from tasks.records.proven import Proven
from tasks.run.moments import DAY, Clock, span

PROVEN_DAYS = 92  # as for a drill of now
AGAIN = "run drill with opens=past"


def objection(proven: Proven | None, clock: Clock) -> str:
    """Say that the past could not be opened, and why; nothing where it could.

    >>> from tasks.run.moments import moment_of
    >>> clock = Clock(now=moment_of(7200.0))
    >>> objection(Proven(at=0.0, moment=0.0, failed="no page"), clock)
    'the last proof of the time machine failed 2 h ago: no page'
    >>> objection(Proven(at=0.0, moment=0.0), clock), objection(None, clock)
    ('', '')
    """
    if proven is None or not proven.failed:
        return ""
    return f"the last proof of the time machine failed {_age(proven, clock)} ago: {proven.failed}"


def remarks(proven: Proven | None, clock: Clock) -> Iterator[str]:
    """Say what nobody has tried for long, and which files the last proof has missed.

    >>> list(remarks(None, Clock()))
    ['the time machine is not proven yet: run drill with opens=past']
    """
    if proven is None:
        yield f"the time machine is not proven yet: {AGAIN}"
        return
    if _seconds(proven, clock) > PROVEN_DAYS * DAY:
        yield f"the last proof of the time machine was {_age(proven, clock)} ago: {AGAIN}"
    if proven.missing:
        yield (
            f"{proven.missing} files of {clock.at(proven.moment)} are nowhere: read the report of "
            "the drill that opened it"
        )


def sentence(proven: Proven | None, clock: Clock) -> str:
    """
    >>> from tasks.run.moments import moment_of
    >>> sentence(Proven(at=0.0, moment=60.0), Clock(now=moment_of(7200.0)))
    'last proof 2 h ago, of 00:01:00 (UTC)'
    """
    if proven is None:
        return "no proof yet"
    return f"last proof {_age(proven, clock)} ago, of {clock.at(proven.moment)}"


def _age(proven: Proven, clock: Clock) -> str:
    return span(_seconds(proven, clock))


def _seconds(proven: Proven, clock: Clock) -> float:
    return max(0.0, clock.now.timestamp() - proven.at)
