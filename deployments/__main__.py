"""relevo: say who runs the procedures, before anything of theirs is imported."""

import os
import sys
from collections.abc import Sequence

WITH_PREFECT = {"apply", "rotate-key", "remove"}  # they tell a server what has changed


def main() -> int:
    """Run one command: from a shell on its own, unless it has to speak to Prefect."""
    if command(sys.argv[1:]) in WITH_PREFECT:
        os.environ.pop("RELEVO_RUNTIME", None)
    else:
        os.environ["RELEVO_RUNTIME"] = "shell"
    from deployments import cli  # noqa: PLC0415  # what it imports is chosen by now

    return cli.main()


def command(words: Sequence[str]) -> str:
    """Give the command of a command line: its first word that is no option, and no value of one.

    >>> command(["--inventory", "apply", "failover", "vps_1", "--reason", "remove"])
    'failover'
    """
    rest = iter(words)
    for word in rest:
        if word != "--" and "--inventory".startswith(word):
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""


if __name__ == "__main__":
    sys.exit(main())
