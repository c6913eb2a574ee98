"""The commands that change what this runner and Prefect know: apply, rotate-key and remove."""

import argparse
from collections.abc import Callable

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from blocks.plain import plain
from deployments import (
    break_glass,
    chosen,
    inventory,
    inventory_file,
    ports,
    removal,
    rotation,
    signers,
)
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.language.reader import shown
from tasks.notices import audit
from tasks.removal import words as removal_words
from tasks.removal.removal import Wishes, survey
from tasks.run import terminal


def apply_all(
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
        keep_secrets(instances, secrets, in_prefect=lambda _: False)
        raise Refused(
            "no Prefect server is configured",
            hint="start one and set PREFECT_API_URL; `relevo run` works without",
        )
    changes = 0
    with server.reached(_print):
        keep_secrets(instances, secrets, in_prefect=is_saved)
        for change in apply(
            instances, secrets.receivers(), pool=settings.work_pool, prune=given.prune
        ):
            _print(change.sentence)
            changes += change.done
    if not changes:
        _print(f"nothing to change ({len(instances)} instances)")
    _print(f"the board: {server.board()}")
    return 0


def keep_secrets(
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


def rotate_key(
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
        return apply_all(argparse.Namespace(prune=False), everyone, secrets, settings)
    except RelevoError as error:
        error.message = f"Prefect still has the old key: {error.message}"
        error.hint = f"{error.hint}; then run relevo apply".removeprefix("; ")
        raise


def remove(
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


def _print(sentence: str) -> None:
    print(plain(shown(sentence), lines=True), flush=True)  # noqa: T201
