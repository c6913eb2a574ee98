"""Verbs of the lab for a terminal."""

import argparse
import os
import sys

from tests.lab.lab import Lab

ON_A_HOST = ("boot", "kill", "crash", "shutdown", "cut", "heal", "fresh", "shell", "run")
BETWEEN_HOSTS = ("partition", "mend")


def main() -> int:
    """Do what the command line says; a host's command gives its own exit status."""
    given = _parser().parse_args()
    try:
        _do(given)
    except (RuntimeError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="", help="of the lab; else $RELEVO_LAB_NAME or relevo")
    common.add_argument("--generation", default="", help="bullseye, bookworm or trixie, for up")
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("up", "down", "status"):
        verbs.add_parser(verb, parents=[common])
    for verb in (*ON_A_HOST, *BETWEEN_HOSTS):
        one = verbs.add_parser(verb, parents=[common])
        one.add_argument("host")
        if verb in BETWEEN_HOSTS:
            one.add_argument("other")
        if verb == "run":
            one.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _do(given: argparse.Namespace) -> None:
    if given.verb in {"up", "down"}:
        getattr(Lab(given.name, given.generation), given.verb)()
        return
    lab = Lab.attach(given.name)
    if given.verb == "status":
        _status(lab)
    elif given.verb in BETWEEN_HOSTS:
        getattr(lab, given.verb)(lab.machine(given.host), lab.machine(given.other))
    elif given.verb == "fresh":
        lab.fresh(given.host)
    elif given.verb in {"shell", "run"}:
        command = given.command if given.verb == "run" else ["bash", "-l"]
        inside = lab.machine(given.host).inside(*command)
        os.execvp(inside[0], inside)
    else:
        getattr(lab.machine(given.host), given.verb)()


def _status(lab: Lab) -> None:
    print(f"lab {lab.name}, {lab.generation.suite}, name server {lab.nameserver}, key {lab.key}")
    for machine in lab.machines:
        door = f"{machine.ssh_user}@{machine.address}:{machine.ssh_port}"
        print(f"{machine.name:<10}{'up' if machine.is_running else 'down':<6}{door}")


if __name__ == "__main__":
    sys.exit(main())
