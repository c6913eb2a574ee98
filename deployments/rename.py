"""`relevo rename`: an instance taken out and replicated again under another name, in one go.

1. All is asked that could refuse it later: after the removal a refusal would leave no replica.
2. One plan, one yes.
3. The old name goes, as `relevo remove` takes it out; its files stay behind on the recovery host.
4. This machine gives the new name what people gave the old one, and the inventory the new name.
5. Prefect is told; the files become the new name's; it is replicated and checked.

Killed anywhere, it is run again. What the inventory says decides: the old name, and it begins with
the removal; the new one alone, and it goes on behind that.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from deployments import (
    break_glass,
    changes,
    chosen,
    inventory,
    inventory_file,
    removal,
    rename_files,
    signers,
)
from deployments.break_glass import LOG, say
from deployments.secrets import Secrets
from deployments.settings import Settings
from tasks.doctor import examine
from tasks.host import lock
from tasks.notices import audit
from tasks.removal import inherited, rename_door, rename_words
from tasks.removal.removal import Survey, Wishes, survey
from tasks.removal.rename_words import Rename
from tasks.run import moments, terminal
from tasks.standby import clone


def command(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets, settings: Settings
) -> int:
    """Give an instance another name, after a typed yes unless --yes."""
    old, new, names = given.instance, given.new, {each.name for each in instances}
    path = settings.inventory_path()
    if old not in names and new in names and removal.was_renamed(secrets, old, new):
        say(f"the inventory has {new} for {old} already: this goes on with its replica")
        return 0 if given.plan_only else _go_on(given, settings)
    instance = _named(old, instances, secrets)
    if given.yes and not given.reason.strip():
        raise Refused(
            f"a reason is needed to rename {old}",
            hint="give --reason; it is kept with the receipts",
        )
    heir = rename_files.heir_of(instance, new, path, secrets)
    with terminal.without_server():
        found = survey(instance, Wishes())
        again = rename_door.require(found.instance, heir, allow_restart=given.allow_restart)
        copied = tuple((str(each), why) for each, why in again.items())
        drawn = _drawn(found, heir, path, secrets)
        plan = replace(drawn, copied=copied, may_restart=given.allow_restart)
    say(rename_words.page(plan))
    if given.plan_only:
        return 0
    _require_server(plan.server)
    why = _approved(given, instance)
    with (
        break_glass.journalled(settings.logs(), f"rename-{old}"),
        _saying_where(heir, old, begun=found.instance),
    ):
        for sentence in removal.remove(instance, secrets, Wishes(), why=why, heir=heir):
            LOG.info("%s", sentence)
        rename_files.hand_over(instance, new, path, secrets)
    return _go_on(given, settings)


def _named(old: str, instances: list[OdooInstance], secrets: Secrets) -> OdooInstance:
    chosen.require_known(old, instances)
    if secrets.lacks_key(old) and old not in signers.read(secrets):
        raise Refused(
            f"{secrets.path} and {signers.FILE} have no entry of {old}: it was never applied",
            hint="write the new name into the inventory, then run relevo apply",
        )
    return chosen.one(old, instances, secrets)


def _drawn(found: Survey, heir: OdooInstance, path: Path, secrets: Secrets) -> Rename:
    from deployments import server  # noqa: PLC0415  # Prefect, which break glass never loads

    instance = found.instance
    return Rename(
        old=instance.name,
        new=heir.name,
        origin=str(instance.origin),
        recovery=str(instance.recovery),
        size=moments.size(clone.size(instance.origin)),
        directory=str(heir.directory),
        archive=str(removal.archive(instance, secrets)),
        inventory=str(path),
        backup=str(rename_files.backup(path, heir.name)),
        secrets=str(secrets.path),
        server=server.named(),
        given=tuple(secrets.given(instance.name)),
        kept=tuple(map(str, found.kept)),
        site=tuple(map(str, found.site)),
    )


def _require_server(named: str) -> None:
    """Refuse to begin while Prefect is silent: it has to be told twice."""
    from deployments import server  # noqa: PLC0415  # Prefect, which break glass never loads

    if named:
        with server.reached(say):
            pass


def _approved(given: argparse.Namespace, instance: OdooInstance) -> str:
    if given.yes:
        return f"{given.reason} ({given.approved_by or audit.login()})"
    yes = break_glass.confirm(instance, "rename", reason=given.reason, by=given.approved_by)
    return f"{yes.reason} ({yes.approved_by})"


def _go_on(given: argparse.Namespace, settings: Settings) -> int:
    """Do what comes after the inventory has the new name; each part finds what is done already."""
    old, new, logs = given.instance, given.new, settings.logs()
    secrets = Secrets(settings.secrets_path())
    with break_glass.journalled(logs, f"rename-{old}"):
        removal.forget(old, secrets)
    heir = _registered(new, secrets, settings)
    with _saying_where(heir, old):
        with break_glass.journalled(logs, f"rename-{new}"):
            with lock.held(heir, "rename"):
                inherited.adopt(heir, old)
            whole = examine.has_replica(heir)
        if not whole:
            values = {"allow_restart": given.allow_restart}
            break_glass.run(heir, "replicate", logs, values)
        break_glass.run(heir, "check", logs, {})
    say(rename_words.ended(old, new, str(rename_files.backup(settings.inventory_path(), new))))
    return 0


def _registered(new: str, secrets: Secrets, settings: Settings) -> OdooInstance:
    """Keep what is new on this machine, and tell Prefect if one is named."""
    from deployments import server  # noqa: PLC0415  # Prefect, which break glass never loads

    document = inventory_file.read(settings.inventory_path())
    instances = inventory.instances(document, secrets)
    if server.named():
        changes.apply_all(argparse.Namespace(prune=False), instances, secrets, settings)
    else:
        changes.keep_secrets(instances, secrets, in_prefect=lambda _: False)
    return chosen.one(new, instances, secrets)


@contextmanager
def _saying_where(
    heir: OdooInstance, old: str, *, begun: OdooInstance | None = None
) -> Iterator[None]:
    """Say of what goes wrong in which state it leaves the replica, and how to go on."""
    try:
        yield
    except RelevoError as error:
        try:
            with terminal.without_server():
                where = rename_door.whereabouts(heir, old, begun=begun)
        except RelevoError as silent:
            where = silent.message
        error.message = f"{error.message}; {where}"
        again = f"run relevo rename {old} {heir.name} again, which goes on from there"
        error.hint = f"{error.hint}; then {again}".removeprefix("; then ")
        raise
