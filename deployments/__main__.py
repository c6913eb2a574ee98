"""relevo: say who runs the procedures, before anything of theirs is imported."""

import os
import sys

WITH_PREFECT = {"apply", "rotate-key", "remove"}  # they tell a server what has changed


def main() -> int:
    """Run one command: from a shell on its own, unless it has to speak to Prefect."""
    if WITH_PREFECT.isdisjoint(sys.argv[1:]):
        os.environ["RELEVO_RUNTIME"] = "shell"
    from deployments import cli  # noqa: PLC0415  # what it imports is chosen by now

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
