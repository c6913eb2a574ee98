"""`relevo`, with its questions to PostgreSQL and its commands counted: what the bench runs.

Says at its end, on a line of its own, how many there were and their median milliseconds.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from blocks.ssh import SshShell
from deployments.cli import main

MARK = "bench-counted"
TOOK: dict[str, list[float]] = {"questions": [], "commands": []}


def counted(name: str) -> None:
    """Count a method of the shell; a command that is psql is a question, too."""
    method: Callable[..., Any] = getattr(SshShell, name)

    @functools.wraps(method)
    def timed(self: SshShell, argv: Any, *args: Any, **kwargs: Any) -> Any:
        asks = name == "ask" or any("psql" in str(word) for word in argv)
        begun = time.monotonic()
        try:
            return method(self, argv, *args, **kwargs)
        finally:
            TOOK["questions" if asks else "commands"].append(1000 * (time.monotonic() - begun))

    setattr(SshShell, name, timed)


if __name__ == "__main__":
    for each in ("run", "ask"):
        if hasattr(SshShell, each):
            counted(each)
    code = main(sys.argv[1:])
    for what, took in TOOK.items():
        print(f"{MARK} {what} {len(took)} {statistics.median(took or [0]):.1f}", file=sys.stderr)
    sys.exit(code)
