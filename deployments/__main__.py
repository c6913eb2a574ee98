"""relevo: say who runs the procedures, before anything of theirs is imported."""

import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import IO

WITH_VALUE = ("--inventory", "--language")
NOBODY_READS = 128 + signal.SIGPIPE  # as a shell says it
WITH_PREFECT = {"apply", "rotate-key", "remove", "rename"}  # they tell a server what has changed


def main() -> int:
    """Run one command: from a shell on its own, unless it has to speak to Prefect."""
    if command(sys.argv[1:]) in WITH_PREFECT:
        os.environ.pop("RELEVO_RUNTIME", None)
    else:
        os.environ["RELEVO_RUNTIME"] = "shell"
    from deployments import cli  # noqa: PLC0415  # what it imports is chosen by now

    try:
        return flushed(cli.main)
    except BrokenPipeError:
        if not (gone := [each for each in (sys.stdout, sys.stderr) if nobody_reads(each)]):
            raise
        # `relevo list | head`: without this, Python would complain of it once more at its end.
        for each in gone:
            os.dup2(os.open(os.devnull, os.O_WRONLY), each.fileno())
        return NOBODY_READS


def flushed(act: Callable[[], int]) -> int:
    """Do something, and hand over all that it printed."""
    try:
        return act()
    finally:
        sys.stdout.flush()


def nobody_reads(stream: IO[str]) -> bool:
    """Tell whether the other end of a pipe is closed."""
    asked = select.poll()
    asked.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in asked.poll(0))


def command(words: Sequence[str]) -> str:
    """Give the command of a command line: its first word that is no option, and no value of one.

    >>> command(["--inventory", "apply", "failover", "vps_1", "--reason", "remove"])
    'failover'
    >>> command(["--language", "es", "apply"])
    'apply'
    """
    rest = iter(words)
    for word in rest:
        if word != "--" and any(each.startswith(word) for each in WITH_VALUE):
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""


if __name__ == "__main__":
    sys.exit(main())
