"""relevo: apply an inventory, and run the procedures from a shell when no server is up."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from blocks.answers import understood
from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from blocks.names import Language
from blocks.plain import plain
from deployments import (
    break_glass,
    chosen,
    discover,
    doctor,
    exit_codes,
    inventory,
    inventory_file,
    machine,
    many,
    parser,
    ports,
    quiet,
    removal,
    rotation,
    signers,
)
from deployments.parser import GONE, PROCEDURES
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.authority.situation import Procedure
from tasks.language.catalogue import spoken
from tasks.language.reader import read_in, reading, shown, translated
from tasks.notices import audit
from tasks.removal import words as removal_words
from tasks.removal.removal import Wishes, survey
from tasks.run import terminal

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
            return discover.run(given, settings, asked)
        document = inventory_file.read(settings.inventory_path())
        secrets = Secrets(settings.secrets_path())
        instances = inventory.instances(document, secrets)
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


def _apply(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    from deployments import server  # noqa: PLC0415  # Prefect, which break glass never loads
    from deployments.apply import apply, is_saved  # noqa: PLC0415

    if secrets.portless:
        document = inventory_file.read(settings.inventory_path())
        for sentence in ports.allot(document, secrets):
            _print(sentence)
        secrets.portless.clear()
        instances = inventory.instances(document, secrets)
    if not server.named():
        _keep_secrets(instances, secrets, in_prefect=lambda _: False)
        raise Refused(
            "no Prefect server is configured",
            hint="start one and set PREFECT_API_URL; `relevo run` works without",
        )
    changes = 0
    with server.reached(_print):
        _keep_secrets(instances, secrets, in_prefect=is_saved)
        for change in apply(
            instances, secrets.receivers(), pool=settings.work_pool, prune=given.prune
        ):
            _print(change.sentence)
            changes += change.done
    if not changes:
        _print(f"nothing to change ({len(instances)} instances)")
    _print(f"the board: {server.board()}")
    return 0


def _keep_secrets(
    instances: list[OdooInstance], secrets: Secrets, *, in_prefect: Callable[[str], bool]
) -> None:
    """Write down what had to be invented, which a signing key may be for a new instance only."""
    for sentence in signers.require_ours(secrets, instances, in_prefect=in_prefect):
        _print(sentence)
    if secrets.invented:
        made = ", ".join(secrets.invented)
        secrets.save()
        _print(f"made passwords in {secrets.path}: {made}")
    for sentence in signers.keep(secrets, instances):
        _print(sentence)


def _rotate_key(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Make a new signing key, and tell Prefect of it if there is one."""
    from deployments import server  # noqa: PLC0415  # Prefect, which break glass never loads

    chosen.require_known(given.instance, instances)
    document = inventory_file.read(settings.inventory_path())

    def read() -> OdooInstance:
        return next(
            each for each in inventory.instances(document, secrets) if each.name == given.instance
        )

    with break_glass.journalled(settings.logs(), f"rotate-key-{given.instance}"):
        _print(rotation.rotate(read, secrets))
    _print(f"keep a copy of {secrets.path} on another machine")
    if not server.named():
        _print("no Prefect server is named: run relevo apply where it is, for it has the old key")
        return 0
    try:
        everyone = inventory.instances(document, secrets)
        return _apply(argparse.Namespace(prune=False), everyone, secrets, settings)
    except RelevoError as error:
        error.message = f"Prefect still has the old key: {error.message}"
        error.hint = f"{error.hint}; then run relevo apply".removeprefix("; ")
        raise


def _remove(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Take an instance out, after a typed yes unless --yes."""
    from deployments import server  # noqa: PLC0415  # Prefect, which break glass never loads

    chosen.require_known(given.instance, instances)
    if secrets.lacks_key(given.instance) and given.instance not in signers.read(secrets):
        raise Refused(
            f"{secrets.path} and {signers.FILE} have no entry of {given.instance}: it was removed "
            "already, or never applied",
            hint="delete its entry from the inventory, then run relevo apply",
        )
    instance = chosen.one(given.instance, instances, secrets)
    wishes = Wishes(given.origin_is_gone, given.recovery_is_gone, given.delete_kept)
    if given.yes and not given.reason.strip():
        raise Refused(
            f"a reason is needed to remove {instance.name}",
            hint="give --reason; it is kept with the receipts",
        )
    with terminal.without_server():
        plan = removal.drawn(survey(instance, wishes), secrets, server=server.named())
    _print(removal_words.page(plan))
    if given.plan_only:
        return 0
    why = f"{given.reason} ({given.approved_by or audit.login()})"
    if not given.yes:
        yes = break_glass.confirm(instance, "removal", reason=given.reason, by=given.approved_by)
        why = f"{yes.reason} ({yes.approved_by})"
    with break_glass.journalled(settings.logs(), f"remove-{instance.name}") as path:
        left = removal.remove(instance, secrets, wishes, why=why)
    _print(removal_words.ended(plan, [*left, f"the full log is in {path}"]))
    return 0


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
    values = {"reason": given.reason, "approved_by": given.approved_by, "decide": "unattended"}
    own = OWN[given.command]
    values[own] = getattr(given, own)
    if not given.yes:
        procedure = _meant(given.command, given)
        values |= break_glass.ask(instance, procedure, reason=given.reason, by=given.approved_by)
    break_glass.run(instance, given.command, settings.logs(), values)
    return 0


def _plan(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    del settings
    instance = chosen.one(given.instance, instances, secrets)
    procedure = _meant(given.procedure, given)
    if given.json:
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


def _print(sentence: str) -> None:
    print(plain(shown(sentence), lines=True), flush=True)  # noqa: T201


COMMANDS = {
    "apply": _apply,
    "list": quiet.listed,
    "run": _run,
    "status": quiet.status_of_all,
    "history": quiet.past,
    "plan": _plan,
    "check": quiet.checked,
    "doctor": doctor.command,
    "replicate": many.command,
    "failover": _fail,
    "failback": _fail,
    "switchover": _fail,
    "rotate-key": _rotate_key,
    "remove": _remove,
}

if __name__ == "__main__":
    sys.exit(main())
