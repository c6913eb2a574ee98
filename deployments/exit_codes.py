"""With which code a command ends that a RelevoError has ended."""

from blocks.errors import Busy, Refused, RelevoError, Unreachable

CODES = ((Busy, 4), (Refused, 3), (Unreachable, 5))


def of(error: RelevoError) -> int:
    """
    >>> of(Busy("locked")), of(Refused("it would lose")), of(RelevoError("it said no"))
    (4, 3, 1)
    """
    return next((code for kind, code in CODES if isinstance(error, kind)), 1)
