"""What a story may have cost, and what it may not: a pure judgement of what was seen."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blocks.errors import Busy, CommandFailed, Refused, StatementFailed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.lab.client import Written

Span = tuple[float, float]

HELD_WITHIN = 10
# The kernel writes by itself what is older (vm.dirty_expire_centisecs and _writeback_, ext4's 5 s).
UNSYNCED_SECONDS = 40
SET_WITHIN = 3.0  # a program may go on for a moment with the time that it knew
AFTER = re.compile(r"\bafter (\d{4}-[\d:T.+-]+)")
OURS = (Refused, Busy, Unreachable, CommandFailed, StatementFailed)
SENTENCE = re.compile(rf"exception:? ({'|'.join(each.__name__ for each in OURS)}): \S+ \S+")


def stated(receipt: dict[str, str]) -> Span:
    """From when until when a forced failover may have lost what the origin acknowledged.

    It begins by the clock of the origin.

    >>> said = "at most the commits of the last 2.0 s (after 2026-01-01T00:00:10.500+00:00), about"
    >>> begin, end = stated({"time": "2026-01-01T00:00:12Z", "loss": said})
    >>> end - begin
    2.5
    """
    until = datetime.fromisoformat(receipt["time"]).timestamp() + 1  # it has whole seconds
    after = AFTER.search(receipt["loss"])
    since = datetime.fromisoformat(after[1]).astimezone(UTC).timestamp() if after else 0.0
    return since, until


def lost_without_a_word(
    lost: Iterable[Written],
    *,
    said: list[Span],
    unreachable: list[Span],
    clock: list[tuple[float, int]],
) -> list[Written]:
    """The documents that no statement covers.

    What a cut-off origin acknowledged until it was held is lost as well where a loss was accepted;
    nothing older than what was stated is.
    """
    late = [held_late(span)[1] for span in unreachable]
    allowed = [(begin, max([end, *late])) for begin, end in said]
    return [
        each
        for each in lost
        if not any(a <= each.at + ahead(each.at, clock) and each.at <= b for a, b in allowed)
    ]


def ahead(at: float, clock: list[tuple[float, int]]) -> int:
    """How far a clock may have been ahead at a time, by when it was set.

    >>> clock = [(100, 3600), (110, 0)]
    >>> [ahead(at, clock) for at in (99, 105, 111, 120)]
    [0, 3600, 3600, 0]
    """
    before = [seconds for since, seconds in clock if since <= at - SET_WITHIN]
    lately = [seconds for since, seconds in clock if at - SET_WITHIN < since <= at]
    return max([*(before[-1:] or [0]), *lately])


def held_late(span: Span) -> Span:
    """A writer that nobody can reach is held within ten seconds of the healing."""
    return span[0], span[1] + HELD_WITHIN


def excused(overlap: Span, unreachable: list[Span]) -> bool:
    """Whether two writers could not know of each other.

    >>> excused((5, 6), [(1, 2)]), excused((15, 16), [(1, 2)])
    (True, False)
    """
    return any(a <= overlap[0] and overlap[1] <= b for a, b in map(held_late, unreachable))


def went_with_the_power(at: float, cuts: Iterable[float]) -> bool:
    """Whether a document was written so shortly before a power cut that no disk had it.

    >>> went_with_the_power(100, [130]), went_with_the_power(100, [150]), went_with_the_power(9, [])
    (True, False, False)
    """
    return any(cut - UNSYNCED_SECONDS <= at <= cut + 1 for cut in cuts)


def half_said(state: dict[str, str]) -> str:
    """What is wrong with the end of a run; nothing where it is good, or refused with a sentence.

    >>> half_said({"type": "FAILED", "message": "uno is down\\nHINT: start it"})
    ''
    >>> half_said({"type": "FAILED", "message": "encountered an exception: Refused: uno is down"})
    ''
    >>> half_said({"type": "FAILED", "message": "encountered an exception: KeyError: 'x'"})
    "FAILED without a sentence: encountered an exception: KeyError: 'x'"
    """
    message = str(state["message"])
    if state["type"] in {"COMPLETED", "CANCELLED"}:
        return ""
    ours = "encountered an exception" not in message and len(message.split()) > 1
    if state["type"] == "FAILED" and (ours or SENTENCE.search(message)):
        return ""
    return f"{state['type']} without a sentence: {message[:300]}"
