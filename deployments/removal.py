"""An instance taken out of both servers, of Prefect and of secrets.yaml, in a safe order.

1. Prefect loses its deployments, so that no schedule makes anything anew.
2. The receipts and the history of both hosts are kept in one file here: they are evidence.
3. Commits at the origin wait for nobody any more.
4. The recovery host loses the standby and its files: from here on nobody can be promoted there.
5. The origin loses slots, roles, settings and keys, then the guard, then its receipts. Up to then
   the recovery host answers the guard, so that a boot in between holds no customers.
6. The recovery host loses what answered, the users and the receipts.
7. signers.yaml, ports.yaml and secrets.yaml forget it, last: by then no host knows the key.

Killed anywhere, it is run again: each step looks at what is there. Only the inventory keeps it.
"""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks import signing, users
from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import ports, signers
from deployments.secrets import Secrets, write
from tasks.archive import archive as time_machine
from tasks.host import lock
from tasks.readiness import aside
from tasks.receipts import receipt_files
from tasks.records import history
from tasks.recovery import allotted
from tasks.removal import inherited, leave_origin, leave_recovery, removal
from tasks.removal.removal import Survey, Wishes
from tasks.removal.words import Removal
from tasks.run.step import log, step
from tasks.synchronous import synchronous

FOLDER = "removed"
RENAMED = "renamed_to"


def drawn(survey: Survey, secrets: Secrets, *, server: str = "") -> Removal:
    """Name all that a person should know before the yes; `server` is the Prefect that is named."""
    instance, wishes = survey.instance, survey.wishes
    origin, recovery, roles = instance.origin, instance.recovery, instance.replication
    return Removal(
        instance=instance.name,
        origin=str(origin),
        recovery=str(recovery),
        cluster=str(origin.cluster),
        odoo=origin.odoo.unit,
        roles=(roles.user, roles.rewind_user),
        directory=str(instance.directory),
        copy=str(recovery.cluster),
        users=(users.odoo_user(instance.name), users.cluster_user(instance.name)),
        archive=str(archive(instance, secrets)),
        secrets=str(secrets.path),
        server=server,
        origin_is_gone=wishes.origin_is_gone,
        recovery_is_gone=wishes.recovery_is_gone,
        delete_kept=wishes.delete_kept,
        last_copy=survey.last_copy,
        kept=tuple(map(str, (*survey.kept, *survey.site))),
        restarts=survey.restarts,
    )


def archive(instance: OdooInstance, secrets: Secrets) -> Path:
    """The file in which the receipts are kept here; one for each key, so that a rerun finds it."""
    key = signing.public_key(instance.signing_key).split()[1][-12:]
    safe = "".join(each if each.isalnum() else "_" for each in key)
    return secrets.path.parent / FOLDER / f"{instance.name}-{safe}.json"


def remove(
    instance: OdooInstance,
    secrets: Secrets,
    wishes: Wishes,
    *,
    why: str,
    heir: OdooInstance | None = None,
) -> list[str]:
    """Take an instance out; give what a person should know or do afterwards.

    `heir` is what it becomes, for which files and ports are kept, and nothing is forgotten here.
    """
    said: list[str] = []
    found = removal.survey(instance, wishes).instance
    held = nullcontext() if wishes.recovery_is_gone else lock.held(found, "remove", preempt=True)
    with held:
        found = removal.survey(instance, wishes).instance  # again: now nobody else changes it
        if heir:
            inherited.require(found, heir)
        leave_prefect(found)
        keep_receipts(found, secrets, wishes, why=why, heir=heir)
        if not wishes.origin_is_gone:
            synchronous.leave(found, recovery_is_gone=wishes.recovery_is_gone)
        if not (wishes.origin_is_gone or wishes.recovery_is_gone or wishes.delete_kept):
            time_machine.finish(found)
        if not wishes.recovery_is_gone:
            said += _empty_recovery(found, wishes, heir)
        if not wishes.origin_is_gone:
            said += _leave_origin(found, wishes)
        if not wishes.recovery_is_gone:
            _leave_recovery(found, heir)
    if not heir:
        forget(found.name, secrets)
    return said


def _empty_recovery(
    instance: OdooInstance, wishes: Wishes, heir: OdooInstance | None
) -> Iterator[str]:
    name = heir.name if heir else ""
    site = leave_recovery.stop(instance, heir=name, delete_kept=wishes.delete_kept)
    if not site.done:
        yield f"{instance.name} is off nginx of {instance.recovery}, but {site.sentence}"
    leave_recovery.drop_cluster(instance, delete_kept=wishes.delete_kept)
    if heir:
        inherited.keep(instance, heir)
    leave_recovery.drop_files(instance)


def _leave_recovery(instance: OdooInstance, heir: OdooInstance | None) -> None:
    leave_recovery.answer_no_more(instance)
    leave_recovery.drop_users(instance)
    if heir:
        allotted.pass_on(instance, heir.name)
    leave_recovery.forget(instance)


def _leave_origin(instance: OdooInstance, wishes: Wishes) -> Iterator[str]:
    aside.sweep(instance.origin)
    if wishes.delete_kept:
        aside.delete(instance, instance.origin)
    leave_origin.drop_slots(instance)
    leave_origin.drop_roles(instance)
    if later := leave_origin.forget_settings(instance):
        yield f"PostgreSQL on {instance.origin} takes back at its next restart: {', '.join(later)}"
    leave_origin.shut_way(instance)
    leave_origin.drop_guard(instance)
    leave_origin.forget(instance)


@step("remove {instance.name} from Prefect")
def leave_prefect(instance: OdooInstance) -> None:
    """Remove what starts anything by schedule; without a server there is nothing to be told."""
    from deployments import server  # noqa: PLC0415  # Prefect, which break glass never loads
    from deployments.apply import forget  # noqa: PLC0415

    if not server.named():
        log().warning("no Prefect server is named: run relevo apply --prune where it is")
        return

    with server.reached(log().info):
        for sentence in forget(instance.name):
            log().info("%s", sentence)


@step("keep the receipts of {instance.name} here")
def keep_receipts(
    instance: OdooInstance,
    secrets: Secrets,
    wishes: Wishes,
    *,
    why: str,
    heir: OdooInstance | None = None,
) -> None:
    """Write all receipts of both hosts down, with the keys that signed them; take none away."""
    path = archive(instance, secrets)
    kept = _read(path)
    places = (each for each in (instance.origin, instance.recovery) if not wishes.is_gone(each))
    for place in places:
        lines = kept.setdefault("receipts", {}).setdefault(str(place), {})
        lines |= receipt_files.texts(instance, place)
        if found := history.texts(instance, place):
            kept.setdefault("history", {})[str(place)] = found.splitlines()
    believed = receipt_files.believed(instance)
    kept |= {
        "instance": instance.name,
        "keys": {"current": list(believed.current), "retired": believed.retired},
        "removed": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why or kept.get("why", ""),
        **({RENAMED: heir.name} if heir else {}),
    }
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write(path, json.dumps(kept, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}",
            hint=f"run this as a user who may write in {secrets.path.parent}, or as root",
        ) from None


def was_renamed(secrets: Secrets, old: str, new: str) -> bool:
    """Tell whether an instance was taken out here to be given this name."""
    kept = (secrets.path.parent / FOLDER).glob(f"{old}-*.json")
    return any(_read(path).get(RENAMED) == new for path in kept)


def _read(path: Path) -> dict[str, Any]:
    """Read what an earlier run has kept; one that is spoiled is a person's to judge."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Refused(
            f"{path} cannot be read: {error}", hint="move it away, then run this again"
        ) from None
    return dict(found)


@step("forget the keys and passwords of {name}")
def forget(name: str, secrets: Secrets) -> None:
    """Take its entries out of signers.yaml, ports.yaml and secrets.yaml."""
    signers.forget(secrets, name)
    ports.forget(secrets, name)
    secrets.forget(name)
