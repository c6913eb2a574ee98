"""Progress of long commands, shown in the UI while they run."""

import re
from collections.abc import Callable

from tasks.run.desk import desk
from tasks.run.step import log


def percent(output: str) -> float | None:
    r"""The last percentage that a tool of PostgreSQL printed.

    >>> percent("1024/4096 kB (25%), 0/1 tablespace\r2048/4096 kB (50%), 0/1 tablespace")
    50.0
    """
    found = re.findall(r"\((\d+)%\)", output)
    return float(found[-1]) if found else None


def reporter(what: str) -> Callable[[str], None]:
    """Make a listener that shows a percentage each time it has moved."""
    show, before = desk().progress(what), -1.0

    def report(output: str) -> None:
        nonlocal before
        now = percent(output)
        if now is None or now == before:
            return
        before = now
        log().info("%s: %.0f %%", what, now)
        show(now)

    return report
