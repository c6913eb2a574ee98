"""relevo: apply an inventory, and run the procedures from a shell when no server is up."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from blocks.answers import understood
from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from blocks.names import Language
from blocks.plain import plain
from deployments import break_glass, chosen, exit_codes, inventory, inventory_file, parser, reserved
from deployments.parser import GONE, PROCEDURES
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.authority.situation import Procedure
from tasks.language.catalogue import spoken
from tasks.language.reader import read_in, reading, translated

UNSEEN = ("promote", "pg_rewind")  # which have no command of their own
OWN = {"failover": "origin_is_down", "failback": "reclone", "switchover": "to"}
NOT_KNOWN = {"check": 3, "doctor": 2}  # where nothing can be said; 3 as Nagios takes it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors are a sentence and a HINT."""
    asked = parser.language_of(sys.argv[1:] if argv is None else argv) or Settings().language
    with read_in(asked or "en"):
        given = parser.build().parse_args(argv)
        return _main(given, getattr(given, "language", None) or asked)


def _main(given: argparse.Namespace, asked: Language | None) -> int:
    if given.command == "completion":
        from deployments import quiet  # noqa: PLC0415  # which no failover waits for

        return quiet.complete(given)
    if given.command not in NOT_KNOWN:
        return _run_command(given, asked)
    try:
        return _run_command(given, asked)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # a traceback's 1 would be taken for a warning
        return _say(f"{type(error).__name__}: {error}", NOT_KNOWN[given.command])


def _run_command(given: argparse.Namespace, asked: Language | None) -> int:
    settings = Settings()
    if given.inventory:
        settings.inventory = Path(given.inventory)
    try:
        if given.command == "discover":  # of servers that no inventory has to know yet
            from deployments import discover  # noqa: PLC0415  # which no failover waits for

            return discover.run(given, settings, asked)
        document = inventory_file.read(settings.inventory_path())
        secrets = Secrets(settings.secrets_path())
        instances = inventory.instances(document, secrets)
        reserved.require(document.instances, secrets)
    except RelevoError as error:
        return _say(error, NOT_KNOWN.get(given.command, 2))
    with read_in(asked or document.language):
        try:
            with understood(f"a host's answer to relevo {given.command}"):
                return COMMANDS[given.command](given, instances, secrets, settings)
        except RelevoError as error:
            return _say(error, NOT_KNOWN.get(given.command, exit_codes.of(error)))


def _say(error: RelevoError | str, code: int) -> int:
    text = spoken(error, reading()) if isinstance(error, RelevoError) else translated(error)
    print(plain(f"relevo: {text}", lines=True), file=sys.stderr)  # noqa: T201
    return code


def _run(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    instance = chosen.one(given.instance, instances, secrets)
    values = dict(_value(text) for text in given.values)
    if given.flow in UNSEEN and "decide" not in values:
        values = break_glass.ask_for(instance, given.flow, values)
    if given.flow in PROCEDURES and "decide" not in values:
        raise Refused(
            f"relevo run {given.flow} would start at once, without a plan and an approval",
            hint=f"run relevo {given.flow} {instance.name}, or add --set decide=unattended",
        )
    break_glass.run(instance, given.flow, settings.logs(), values)
    return 0


def _fail(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Change the place that serves, after a typed yes unless --yes."""
    instance = chosen.one(given.instance, instances, secrets)
    instance.recovery.host.dial_ahead()  # while the procedure is imported
    values = {"reason": given.reason, "approved_by": given.approved_by, "decide": "unattended"}
    own = OWN[given.command]
    values[own] = getattr(given, own)
    if not given.yes:
        procedure = _meant(given.command, given)
        values |= break_glass.ask(
            instance, procedure, reason=given.reason, by=given.approved_by,
            reclone=bool(values.get("reclone")),
        )  # fmt: skip
    break_glass.run(instance, given.command, settings.logs(), values)
    return 0


def _plan(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    del settings
    instance = chosen.one(given.instance, instances, secrets)
    procedure = _meant(given.procedure, given)
    if given.json:
        from deployments import machine, quiet  # noqa: PLC0415  # which no failover waits for

        made = break_glass.drawn(instance, procedure)
        machine.say(quiet.plan_document(made))
        return break_glass.code_of(made)
    return break_glass.say_plan(instance, procedure, language=reading())


def _meant(procedure: Procedure, given: argparse.Namespace) -> Procedure:
    """A switchover has two directions, and a plan for each."""
    if procedure == GONE:
        return "recovery is gone"
    home = procedure == "switchover" and given.to == "origin"
    return "switchover home" if home else procedure


def _value(text: str) -> tuple[str, bool | str]:
    """
    >>> _value("origin_is_down=true"), _value("reason=fire = hot")
    (('origin_is_down', True), ('reason', 'fire = hot'))
    """
    name, is_given, value = text.partition("=")
    if not is_given:
        raise Refused(
            f"--set {text} gives no value", hint=f"write --set {text}=true, or another value"
        )
    if value.lower() in {"true", "false", "yes", "no"}:
        return name, TypeAdapter(bool).validate_python(value)
    return name, value


class Command(Protocol):
    """What is done for one of the subcommands."""

    def __call__(
        self,
        given: argparse.Namespace,
        instances: list[OdooInstance],
        secrets: Secrets,
        settings: Settings,
        /,
    ) -> int:
        """Do it, and give the exit code."""


def _of(module: str, name: str) -> Command:
    """Find a command in a module of its own, which is imported when it is wanted.

    A failover waits for none of them.
    """

    def command(
        given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets,
        settings: Settings,
    ) -> int:  # fmt: skip
        found: Command = getattr(import_module(f"deployments.{module}"), name)
        return found(given, instances, secrets, settings)

    return command


COMMANDS: dict[str, Command] = {
    "apply": _of("changes", "apply_all"),
    "list": _of("quiet", "listed"),
    "run": _run,
    "status": _of("quiet", "status_of_all"),
    "history": _of("quiet", "past"),
    "plan": _plan,
    "check": _of("quiet", "checked"),
    "doctor": _of("doctor", "command"),
    "replicate": _of("many", "command"),
    "failover": _fail,
    "failback": _fail,
    "switchover": _fail,
    "rotate-key": _of("changes", "rotate_key"),
    "remove": _of("changes", "remove"),
    "rename": _of("rename", "command"),
    "look": _of("past", "look"),
    "bring-back": _of("past", "bring_back"),
}

if __name__ == "__main__":
    sys.exit(main())
