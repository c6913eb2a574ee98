"""The ports of an instance on the recovery host: the first three that are free together."""

from collections.abc import Collection, Iterator, Mapping

# As the example of the inventory counts: 5433, 8169, 8172; 5434, 8269, 8272; and so on.
FIRST, STEPS = (5433, 8169, 8172), (1, 100, 100)
FIELDS = ("postgres_port", "http_port", "longpolling_port")
HIGHEST = 65535
OF_NGINX = frozenset({80, 443})


class NoPorts(Exception):
    """No three ports are free together."""


def triples() -> Iterator[tuple[int, ...]]:
    """Give all triples in their order."""
    triple: tuple[int, ...] = FIRST
    while max(triple) <= HIGHEST:
        yield triple
        triple = tuple(port + step for port, step in zip(triple, STEPS, strict=True))


def first_free(taken: Collection[int], given: Mapping[str, int] | None = None) -> dict[str, int]:
    """Choose ports that nobody has; those that are given stay as they are.

    >>> first_free({5432, 8272})
    {'postgres_port': 5433, 'http_port': 8169, 'longpolling_port': 8172}
    >>> first_free({5433, 8272})
    {'postgres_port': 5435, 'http_port': 8369, 'longpolling_port': 8372}
    >>> first_free({8169}, {"postgres_port": 6000})
    {'postgres_port': 6000, 'http_port': 8269, 'longpolling_port': 8272}
    """
    kept = given or {}
    busy = {*taken, *kept.values(), *OF_NGINX}
    for triple in triples():
        found = dict(zip(FIELDS, triple, strict=True))
        if busy.isdisjoint(port for field, port in found.items() if field not in kept):
            return {**found, **kept}
    raise NoPorts
