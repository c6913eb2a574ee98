"""Verbs of the lab for a terminal."""

import argparse
import sys

from tests.lab.image import LabError
from tests.lab.lab import Lab


VERBS = ("up", "down", "status", "run", "cut", "heal", "kill", "boot", "fresh")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("host", nargs="?", choices=("uno", "dos", "respaldo"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    parser.add_argument("--name", default="")
    parser.add_argument("--generation", default="")
    given = parser.parse_args()
    try:
        _do(Lab(given.name, given.generation), given)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _do(lab: Lab, given: argparse.Namespace) -> None:
    if given.verb in {"up", "down"}:
        getattr(lab, given.verb)()
    elif given.verb == "status":
        for machine in lab.machines:
            print(machine.name, machine.address, "up" if machine.pid() else "down")
    elif given.verb == "fresh":
        lab.fresh(given.host)
    elif given.verb == "run":
        print(lab.machine(given.host).run(*given.command).stdout, end="")
    else:
        getattr(lab.machine(given.host), given.verb)()


if __name__ == "__main__":
    sys.exit(main())
