"""What a run has just been told by a host, and need not ask again.

An answer serves only under a lease, which keeps other runs away; until this run has anything done
on that host; and for a moment, since others may act there by hand.
"""

from collections.abc import Sequence

from blocks.lease import boot_seconds, require_lease
from blocks.shell import Completed

MOMENT_SECONDS = 3


def find(host: str, asked: Sequence[str]) -> Completed | None:
    """Give an answer that still serves; none where it has to be asked for."""
    lease = require_lease()
    known = lease.told.get(host, {}).get(tuple(asked)) if lease else None
    if known is None or boot_seconds() - known[0] > MOMENT_SECONDS:
        return None
    return known[1]


def keep(host: str, asked: Sequence[str], answer: Completed, *, since: float) -> None:
    """Keep the answer to what was asked at a time."""
    if lease := require_lease():
        lease.told.setdefault(host, {})[tuple(asked)] = (since, answer)


def forget(host: str) -> None:
    """Let no answer of a host serve any more: something is done there."""
    if lease := require_lease():
        lease.told.pop(host, None)
