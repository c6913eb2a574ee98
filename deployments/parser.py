"""The words of the command `relevo`: its subcommands, their options, and what each means."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, cast, get_args

from blocks.names import Language
from blocks.version import VERSION
from deployments.parser_words import DESCRIPTION, epilog
from tasks.language.reader import translated

FLOWS = (
    "setup_primary", "configure_ssh", "basebackup", "rsync_filestore", "build_service", "promote",
    "pg_rewind", "replicate", "failover", "failback", "switchover", "check", "drill",
    "reconcile_filestore", "restore_filestore",
)  # fmt: skip
PROCEDURES = ("failover", "failback", "switchover")
GONE = "recovery-is-gone"
NAMED = "its name in the inventory"
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def build() -> argparse.ArgumentParser:
    """Make the parser of the whole command line."""
    made = argparse.ArgumentParser(
        prog="relevo", description=translated(DESCRIPTION), epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument(
        "--version", action="version", version=f"relevo {VERSION}",
        help="show the version of this runner",
    )  # fmt: skip
    made.add_argument("--inventory", help="default: ./inventory.yaml, /etc/relevo/inventory.yaml")
    _add_language(made)
    commands = made.add_subparsers(dest="command", required=True)
    _add_quiet(commands)
    _add_replicate(commands)
    _add_moves(commands)
    rotate = commands.add_parser(
        "rotate-key", help="make a new key that signs receipts; both servers must answer"
    )
    rotate.add_argument("instance", help=NAMED)
    _add_remove(commands)
    _add_rename(commands)
    _add_run(commands)
    for each in commands.choices.values():
        _add_language(each)
    for each in (made, *commands.choices.values()):
        _say_helps(each)
    return made


def language_of(argv: Sequence[str]) -> Language | None:
    """Read the language off a command line, before anything is said of it."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--language", choices=get_args(Language))
    try:
        found, _ = early.parse_known_args(argv)
    except argparse.ArgumentError:
        return None  # the whole parser says what is wrong with it
    return cast("Language | None", found.language)


def _add_language(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--language", choices=get_args(Language), default=argparse.SUPPRESS,
        help="in which to speak; default: RELEVO_LANGUAGE, or the language of the inventory",
    )  # fmt: skip


def _say_helps(parser: argparse.ArgumentParser) -> None:
    """Say what each option does in the language of whoever reads."""
    for each in parser._actions:  # noqa: SLF001  # argparse has no other way
        if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001
            for command in each._choices_actions:  # noqa: SLF001
                command.help = translated(command.help or "")
        if each.help and each.help is not argparse.SUPPRESS:
            each.help = translated(each.help)


def _add_quiet(commands: Commands) -> None:
    """Add what changes nothing on the hosts."""
    apply = commands.add_parser("apply", help="register instances, deployments and schedules")
    apply.add_argument("--prune", action="store_true", help="remove what is not in the inventory")
    _add_discover(commands)
    add_json(commands.add_parser("list", help="show the instances of the inventory"))
    add_json(
        commands.add_parser("status", help="show who serves each instance, asked of the clusters")
    )
    check = commands.add_parser(
        "check", help="report what could be failed over now, as Nagios reads it"
    )
    check.add_argument("instance", nargs="?", help="default: all of the inventory")
    check.add_argument("--textfile", type=Path, help="for node_exporter's textfile collector")
    add_json(check)
    _add_doctor(commands)
    plan = commands.add_parser("plan", help="show what would be done, and change nothing")
    plan.add_argument("procedure", choices=(*PROCEDURES, GONE), help="what would be done")
    plan.add_argument("instance", help=NAMED)
    _add_direction(plan)
    add_json(plan)
    past = commands.add_parser("history", help="show who did what to an instance, when and why")
    past.add_argument("instance", help=NAMED)
    add_json(past)
    shell = commands.add_parser("completion", help="print the completion for a shell")
    shell.add_argument("shell", choices=("bash", "zsh"), help="which one")


def add_json(command: argparse.ArgumentParser) -> None:
    """Let a command answer programs, with a document of deployments/documents.py."""
    command.add_argument(
        "--json", action="store_true", help="for programs: see docs/reference/json.md"
    )


def commands(made: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Give the parser of each command."""
    (found,) = (
        each
        for each in made._actions  # noqa: SLF001  # argparse has no other way
        if isinstance(each, argparse._SubParsersAction)  # noqa: SLF001
    )
    return dict(found.choices)


def _add_discover(commands: Commands) -> None:
    discover = commands.add_parser(
        "discover", help="write entries of the inventory from live servers, which are only asked"
    )
    discover.add_argument(
        "hosts", nargs="*", metavar="HOST",
        help="[USER@]HOST[:PORT], a name of ssh's or of the inventory; default: all of the "
        "inventory, to see what has changed",
    )  # fmt: skip
    discover.add_argument(
        "--recovery", metavar="HOST", help="the recovery server; default: that of the inventory"
    )
    discover.add_argument(
        "--inventory",
        default=argparse.SUPPRESS,
        help="the inventory, as before the command",
    )
    discover.add_argument(
        "--write", metavar="FILE", help="append to this inventory, or begin it; default: print"
    )
    discover.add_argument(
        "--accept-host-key", action="append", default=[], metavar="FINGERPRINT",
        help="of a server's host key, as ssh-keygen -l shows it there; may be said several times",
    )  # fmt: skip
    discover.add_argument(
        "--key-file", type=Path, help="the private key to log in with; default: as ssh would"
    )
    add_json(discover)


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor", help="say what to fix, in which order; change nothing, replicated or not"
    )
    doctor.add_argument("instance", nargs="?", help="default: all of the inventory")
    doctor.add_argument("--all", action="store_true", help="all of the inventory")
    doctor.add_argument(
        "--well", action="store_true", help="name also the checks of several that are well"
    )
    add_json(doctor)


def _add_replicate(commands: Commands) -> None:
    replicate = commands.add_parser("replicate", help="replicate several here, some at a time")
    replicate.add_argument("instance", nargs="*", help=NAMED)
    replicate.add_argument("--all", action="store_true", help="all that have no replica yet")
    replicate.add_argument("--at-most", type=int, default=2, help="how many at a time; default: 2")
    add_json(replicate)


def _add_moves(commands: Commands) -> None:
    """Add what changes the place that serves, each with what it alone may be told."""
    for procedure in PROCEDURES:
        _add_yes(commands.add_parser(procedure, help=f"{procedure} here, without a server"))
    commands.choices["failover"].add_argument(
        "--origin-is-down",
        action="store_true",
        help="you confirmed from another source that it is down and stays down",
    )
    commands.choices["failback"].add_argument(
        "--reclone", action="store_true", help="copy the whole database to the origin"
    )
    _add_direction(commands.choices["switchover"])


def _add_remove(commands: Commands) -> None:
    remove = commands.add_parser(
        "remove", help="remove an instance from both servers and from Prefect"
    )
    _add_yes(remove)
    remove.add_argument("--plan-only", action="store_true", help="show what would be removed")
    for place in ("origin", "recovery"):
        remove.add_argument(
            f"--{place}-is-gone", action="store_true", help="this server is lost for good"
        )
    remove.add_argument(
        "--delete-kept", action="store_true",
        help="also delete what was kept aside, or is the last copy",
    )  # fmt: skip


def _add_rename(commands: Commands) -> None:
    rename = commands.add_parser(
        "rename", help="give an instance another name; it has no replica meanwhile"
    )
    rename.add_argument("instance", metavar="OLD", help=NAMED)
    rename.add_argument("new", metavar="NEW", help="its name from then on")
    _add_assent(rename)
    rename.add_argument("--plan-only", action="store_true", help="show what would be done")
    rename.add_argument(
        "--allow-restart", action="store_true",
        help="restart PostgreSQL at the origin if its settings need that",
    )  # fmt: skip


def _add_run(commands: Commands) -> None:
    run = commands.add_parser("run", help="run any procedure here, without a server")
    run.add_argument(
        "flow", type=lambda text: text.replace("-", "_"), choices=FLOWS, help="which one"
    )
    run.add_argument("instance", help=NAMED)
    run.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="values",
        help="a parameter of the flow; may be given several times",
    )  # fmt: skip


def _add_direction(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--to", choices=("recovery", "origin"), default="recovery",
        help="where a switchover moves the customers",
    )  # fmt: skip


def _add_yes(command: argparse.ArgumentParser) -> None:
    """Add the instance that is meant, and who says yes to it and why."""
    command.add_argument("instance", help=NAMED)
    _add_assent(command)


def _add_assent(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    command.add_argument("--reason", default="", help="why; the report keeps it")
    command.add_argument("--approved-by", default="", help="who approves; the report keeps it")
