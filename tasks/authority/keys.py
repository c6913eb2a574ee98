"""The signing key of an instance: known to the guard before a run relies on it, and made anew.

A forced failover whose receipt the guard at the origin does not believe is no fence: the origin
boots and serves beside the recovery host. So a run asks first, and touches nothing where the key
of secrets.yaml is another one. What is believed comes from secrets.yaml alone; what a host says of
keys raises a doubt, and never gives trust.
"""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import SecretStr

from blocks import signing
from blocks.errors import Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance, Place
from tasks.authority import guard
from tasks.host import files
from tasks.receipts import receipt_files, receipts
from tasks.receipts import signers as reading
from tasks.receipts.receipt_files import Kept
from tasks.receipts.signers import Signers
from tasks.run.step import log, step


def _hint(instance: OdooInstance) -> str:
    return (
        "restore the newest secrets.yaml and run relevo apply, or run relevo rotate-key "
        f"{instance.name} while both servers answer"
    )


def _who(instance: OdooInstance, place: Place) -> str:
    guard_there = f"the guard of {instance.origin}"
    return guard_there if place.kind == "origin" else f"{guard_there} (as {place} remembers it)"


def objection(instance: OdooInstance, place: Place) -> str:
    """Why what this run signs would not be believed, as a host says; nothing when it would."""
    kept = receipt_files.kept_on(instance, place)
    return reading.objection(
        signing.public_key(instance.signing_key), kept.signers,
        signed=kept.signed, known=kept.all.keys(), who=_who(instance, place),
    )  # fmt: skip


def require_believed(instance: OdooInstance, place: Place) -> None:
    """Refuse to go on with a key that a host does not know."""
    if why := objection(instance, place):
        raise Refused(f"{instance.name}: {why}; nothing was touched", hint=_hint(instance))


@step("require that the signing key of {instance.name} is known")
def require_known(instance: OdooInstance, *, ask_origin: bool = True) -> None:
    """Refuse, before anything is touched, to sign what the guard at the origin will not believe.

    A failover asks the recovery host alone: the origin may be dead, and customers wait.
    """
    require_believed(instance, instance.recovery)
    if not ask_origin:
        return
    try:
        require_believed(instance, instance.origin)
    except Unreachable as error:
        log().warning("%s", error.message)


def objections(instance: OdooInstance, *, origin_answers: bool) -> list[str]:
    """What a plan says of the key."""
    places = (instance.recovery, *((instance.origin,) if origin_answers else ()))
    try:
        reasons = [why for place in places if (why := objection(instance, place))]
    except RelevoError as error:
        return [error.message]
    return [f"{why} ({_hint(instance)})" for why in reasons[:1]]


def measure(instance: OdooInstance) -> str:
    """Say whose key it is, for check and board."""
    for place in (instance.recovery, instance.origin):
        try:
            why = objection(instance, place)
        except Unreachable:
            continue
        if why:
            raise RelevoError(f"{why}: {_hint(instance)}")
    retired = len(instance.retired_keys)
    return "the guard trusts it" + (f", and {retired} retired ones" if retired else "")


def traces(instance: OdooInstance, place: Place) -> str:
    """Say what a host keeps of an instance that was replicated before; nothing of a new one."""
    kept = receipt_files.kept_on(instance, place)
    if kept.signed or kept.false:
        return f"{place} keeps its receipts"
    return f"{place} knows its signing key" if kept.signers.current else ""


@step("see which signing keys of {instance.name} both hosts trust")
def survey(instance: OdooInstance, new: SecretStr | None) -> dict[str, int]:
    """Find the keys to be retired, each with the last epoch that it signed; none if none is known.

    Refuses unless both hosts answer. A key that secrets.yaml does not name is retired only if both
    hosts say that it was the guard's.
    """
    recovery, origin = (
        receipt_files.kept_on(instance, place) for place in (instance.recovery, instance.origin)
    )
    fresh = {signing.public_key(new)} if new else set()
    ours = {signing.public_key(instance.signing_key), *instance.retired_keys, *fresh}
    here, there = _named(recovery), _named(origin)
    if here and there and here - ours != there - ours:
        raise Refused(
            f"{instance.recovery} and {instance.origin} trust different signing keys of "
            f"{instance.name}, and secrets.yaml does not say which is right",
            hint="restore secrets.yaml; or find out who wrote "
            f"{receipt_files.signers_path(instance, instance.origin)} there",
        )
    if files.exists(instance.origin.host.shell(), guard.config_path(instance)):
        guard.require_answered(instance)
    signed = {*recovery.signed.items(), *origin.signed.items()}
    found = dict(_history(recovery, origin, ours | here | there))
    for key in sorted((here | there) - fresh):
        last = max((epoch for epoch, by in signed if by == key), default=0)
        found[key] = instance.retired_keys.get(key) or last
    return found


def _history(recovery: Kept, origin: Kept, ours: set[str]) -> Iterator[tuple[str, int]]:
    """Find keys of before retired ones were kept: both hosts have older receipts of theirs."""
    alike = sorted({*recovery.signed.items()} & {*origin.signed.items()})
    newest = max((epoch for epoch, key in alike if key in ours), default=0)
    for epoch, key in alike:
        if key not in ours and epoch < newest:
            yield key, epoch


def is_known(instance: OdooInstance, key: SecretStr) -> bool:
    """Tell whether a host believes a key already."""
    places = (instance.recovery, instance.origin)
    return any(
        signing.public_key(key) in _named(receipt_files.kept_on(instance, p)) for p in places
    )


def _named(kept: Kept) -> set[str]:
    """The keys that count on a host: as its note says, or, without one, its newest receipt."""
    newest = [kept.signed[max(kept.signed)]] if kept.signed else []
    return set(kept.signers.current) or set(newest)


@step("make the new signing key of {instance.name} known to both hosts")
def introduce(instance: OdooInstance, new: SecretStr) -> None:
    """Let both hosts believe the new key beside those that they believe already."""
    key = signing.public_key(new)
    for place in (instance.origin, instance.recovery):
        kept = receipt_files.kept_on(instance, place)
        if key not in kept.signers.current:
            current = tuple(sorted(_named(kept) - kept.signers.retired.keys()))
            guard.remember_signers(instance, place, Signers((*current, key), kept.signers.retired))


@step("sign the newest receipt of {instance.name} with the new key", retries=0)
def renew(instance: OdooInstance) -> int:
    """Say the newest receipt once more, as a new epoch that the new key signs; give its epoch.

    `instance` signs with the new key already. A receipt that the new key has signed stands.
    """
    asked = receipts.ask(instance)
    known = asked.newest
    if not asked.both or known is None:
        raise Refused(
            f"both hosts must answer and keep receipts of {instance.name}",
            hint="run this again when both servers answer",
        )
    if asked.signed.get(known.epoch) != signing.public_key(instance.signing_key):
        known = replace(known, epoch=known.epoch + 1)
    receipts.publish(instance, known, asked)
    return known.epoch


@step("check that the guard of {instance.name} accepts epoch {epoch}")
def require_heard(instance: OdooInstance, epoch: int) -> None:
    """Refuse to retire a key before the guard at the origin believes the new one."""
    origin = instance.origin
    if not files.exists(origin.host.shell(), guard.config_path(instance)):
        log().warning("%s has no guard yet: replicate installs it", origin)
        return
    heard = guard.require_answered(instance)["epoch"]
    if heard != epoch:
        raise Refused(
            f"the guard of {origin} accepts epoch {heard}, and not {epoch} of the new key",
            hint=f"read journalctl -u {guard.watcher_unit(instance)} there, then run this again",
        )


@step("let both hosts trust only the new signing key of {instance.name}")
def retire(instance: OdooInstance) -> None:
    """Leave the retired keys no more than the epochs that they signed."""
    for place in (instance.origin, instance.recovery):
        guard.remember_signers(instance, place, receipt_files.believed(instance))
