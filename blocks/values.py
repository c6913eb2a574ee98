"""Values as PostgreSQL says them, read by their types."""

import math

from blocks.sql import Value

BOOL, FLOATS, WHOLE, NUMERIC = 16, {700, 701}, {20, 21, 23, 26}, 1700


def value(said: bytes | None, kind: int) -> Value:
    """Read a value by its type.

    >>> value(b"t", BOOL), value(b"12", NUMERIC), value(b"1.5", NUMERIC), value(b"0/3", 3220)
    (True, 12, 1.5, '0/3')
    """
    if said is None:
        return None
    if kind == BOOL:
        return said == b"t"
    if kind in WHOLE or (kind == NUMERIC and said.lstrip(b"-").isdigit()):
        return int(said)
    if kind == NUMERIC or kind in FLOATS:
        if not math.isfinite(figure := float(said)):
            raise ValueError(f"{said[:40]!r}")  # that is no JSON, and breaks whoever counts with it
        return figure
    return said.decode(errors="replace")
