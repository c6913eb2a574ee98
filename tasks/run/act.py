"""Who has a procedure done, and why: said once, for the history and for the receipt."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass
class Act:
    """A procedure that a person has asked for; `begin` is told when it first holds the lock."""

    begin: Callable[["Act"], None]
    person: str = ""
    reason: str = ""
    begun: datetime | None = None
    lost: Callable[[], bool] = bool  # has another run taken the lock over?


ACT: ContextVar[Act | None] = ContextVar("act", default=None)


def decided(*, reason: str, person: str) -> None:
    """Keep who has said yes to what is done here, and why."""
    if act := ACT.get():
        act.reason, act.person = reason, person or act.person


def begun(*, lost: Callable[[], bool]) -> None:
    """Say that what is done here changes something from now on; only the first time counts."""
    act = ACT.get()
    if act is not None and act.begun is None:
        act.begun, act.lost = datetime.now(UTC), lost
        act.begin(act)


def because(reason: str) -> str:
    """Give a reason with the person behind it, as a receipt keeps both.

    >>> token = ACT.set(Act(print, person="Ana"))
    >>> because("a fire"), because(""), because("Ana says so")
    ('a fire (Ana)', 'Ana', 'Ana says so')
    >>> ACT.reset(token)
    >>> because("a fire")
    'a fire'
    """
    act = ACT.get()
    person = act.person if act else ""
    if not person or person in reason:
        return reason
    return f"{reason} ({person})" if reason.strip() else person
