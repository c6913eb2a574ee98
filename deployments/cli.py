"""relevo: apply an inventory, and run the procedures from a shell when no server is up."""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from prefect.settings import PREFECT_API_URL
from pydantic import TypeAdapter

from blocks.errors import Busy, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from deployments import inventory
from deployments.secrets import Secrets
from deployments.settings import Settings

FLOWS = (
    "setup_primary", "configure_ssh", "basebackup", "rsync_filestore", "build_service", "promote",
    "pg_rewind", "replicate", "failover", "failback", "check", "reconcile_filestore",
    "restore_filestore", "follow_filestore",
)  # fmt: skip
EPILOG = """\
examples:
  relevo apply                                  tell Prefect what the inventory says
  relevo list                                   the instances of the inventory
  relevo run check vps_1                        works with no server up, as does every flow:
  relevo run failover vps_1 --set origin_is_down=true --set reason="hoster confirms fire"
  relevo run failback vps_1

exit codes: 0 done, 1 failed, 2 bad input, 3 refused, 4 busy, 5 a host did not answer
"""
CODES = ((Busy, 4), (Refused, 3), (Unreachable, 5))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors are a sentence and a HINT."""
    given = _parser().parse_args(argv)
    settings = Settings()
    if given.inventory:
        settings.inventory = Path(given.inventory)
    try:
        document = inventory.read(settings.inventory_path())
        secrets = Secrets(settings.secrets_path())
        instances = inventory.instances(document, secrets)
    except RelevoError as error:
        return _say(error, 2)
    try:
        return COMMANDS[given.command](given, instances, secrets, settings)
    except RelevoError as error:
        return _say(error, next((code for kind, code in CODES if isinstance(error, kind)), 1))


def _say(error: RelevoError, code: int) -> int:
    print(f"relevo: {error}", file=sys.stderr)  # noqa: T201
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="relevo", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--inventory", help="default: ./inventory.yaml, /etc/relevo/inventory.yaml")
    commands = parser.add_subparsers(dest="command", required=True)
    apply = commands.add_parser("apply", help="register instances, deployments and schedules")
    apply.add_argument("--prune", action="store_true", help="remove what the inventory has not")
    commands.add_parser("list", help="show the instances of the inventory")
    run = commands.add_parser("run", help="run a procedure here, without a server")
    run.add_argument("flow", type=lambda text: text.replace("-", "_"), choices=FLOWS)
    run.add_argument("instance")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="values")
    return parser


def _apply(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    from deployments.apply import apply  # noqa: PLC0415  # half a second that break glass saves

    if not PREFECT_API_URL.value():
        raise Refused(
            "no Prefect server is named",
            hint="start one and set PREFECT_API_URL; `relevo run` works without",
        )
    if secrets.invented:
        secrets.save()
        _print(f"made passwords in {secrets.path}: {', '.join(secrets.invented)}")
    changes = 0
    for sentence in apply(instances, pool=settings.work_pool, prune=given.prune):
        _print(sentence)
        changes += not sentence.startswith("not in the inventory")
    if not changes:
        _print(f"nothing to change ({len(instances)} instances)")
    return 0


def _list(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    del given, secrets, settings
    for each in instances:
        _print(f"{each.name}: {each.origin} -> {each.recovery} (cluster {each.recovery.cluster})")
    return 0


def _run(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    del settings
    if given.instance not in {each.name for each in instances}:
        raise Refused(
            f"there is no instance {given.instance} in the inventory", hint="see relevo list"
        )
    if any(name.startswith(f"{given.instance}.") for name in secrets.invented):
        raise Refused(
            f"{secrets.path} has no passwords for {given.instance}",
            hint="run relevo apply first, or bring secrets.yaml here",
        )
    instance = next(each for each in instances if each.name == given.instance)
    os.environ.pop("PREFECT_API_URL", None)  # a server that is down must not stand in the way
    logging.getLogger("relevo").setLevel(logging.INFO)
    flow = getattr(importlib.import_module(f"flows.{given.flow}"), given.flow)
    flow(instance, **dict(_value(text) for text in given.values))
    return 0


def _value(text: str) -> tuple[str, bool | str]:
    """
    >>> _value("origin_is_down=true"), _value("reason=fire = hot")
    (('origin_is_down', True), ('reason', 'fire = hot'))
    """
    name, _, value = text.partition("=")
    if value.lower() in {"true", "false", "yes", "no"}:
        return name, TypeAdapter(bool).validate_python(value)
    return name, value


def _print(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201


COMMANDS = {"apply": _apply, "list": _list, "run": _run}

if __name__ == "__main__":
    sys.exit(main())
