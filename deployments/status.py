"""Who serves each instance now, asked of the clusters of both servers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from deployments.machine import End, Standing
from tasks.language.reader import translated, word
from tasks.postgres.observe import observe, observe_or_why, unheard
from tasks.recovery import users

AT_ONCE = 16
NOBODY = "nobody"
BOTH_WRITE, NOT_KNOWN = 1, 5


def measure(instances: Sequence[OdooInstance]) -> list[Standing]:
    """Ask both servers of every instance, side by side."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(_measure, instances))


def _measure(instance: OdooInstance) -> Standing:
    why = ""
    try:
        instance = users.as_found(instance)
        origin, closed = observe_or_why(instance.origin)
        seen = str(origin or ("not known" if closed else "silent"))
        if origin is None:
            why = unheard(instance.origin, closed)
    except RelevoError as error:
        origin, seen, why = None, "refused", error.message
    try:
        recovery = observe(instance.recovery)
    except RelevoError as error:
        return _standing(instance, seen, "not known", (), error.message)
    serves: tuple[Literal["origin", "recovery"], ...] = ()
    if origin is not None and origin.is_primary:
        serves += ("origin",)
    if recovery.is_primary:
        serves += ("recovery",)
    return _standing(instance, seen, str(recovery), serves, why)


def _standing(
    instance: OdooInstance,
    origin: str,
    recovery: str,
    serves: tuple[Literal["origin", "recovery"], ...],
    why: str,
) -> Standing:
    return Standing(
        instance=instance.name,
        origin=End(server=str(instance.origin), role=origin),
        recovery=End(server=str(instance.recovery), role=recovery),
        served_from=serves,
        known=bool(serves) or not why,
        why=None if serves else why or NOBODY,
    )


def lines(rows: Sequence[Standing]) -> Iterator[str]:
    """Say it as a table."""
    heads = (word("instance"), word("origin"), word("recovery"))
    yield f"{heads[0]:<24} {heads[1]:<12} {heads[2]:<12} {word('served from')}"
    for row in rows:
        recovery = "?" if row.recovery.role == "not known" else word(row.recovery.role)
        yield f"{row.instance:<24} {word(row.origin.role):<12} {recovery:<12} {_served(row)}"


def _served(row: Standing) -> str:
    named = {"origin": row.origin.server, "recovery": row.recovery.server}
    serves = [named[kind] for kind in row.served_from]
    if len(serves) > 1:
        return f"{word('BOTH')}: " + f" {word('and')} ".join(serves)
    if serves:
        return serves[0]
    return word(NOBODY) if row.known else translated(f"not known: {row.why}")


def code(rows: Sequence[Standing]) -> int:
    """Give the exit code: two servers accept writes, or else of an instance nothing is known.

    >>> code([])
    0
    """
    if any(len(row.served_from) > 1 for row in rows):
        return BOTH_WRITE
    return NOT_KNOWN if any(not row.known for row in rows) else 0
