"""The names of the customers, pointed at the place that serves."""

import hashlib
import hmac
import time
from collections.abc import Mapping

from blocks.errors import CommandFailed, Refused
from blocks.instance import Dns, OdooInstance, Place
from blocks.lease import require_lease
from tasks.records import records
from tasks.records.kinds import Names, Provider
from tasks.run.outcome import Outcome
from tasks.run.step import log, step
from tasks.run.wait import until
from tasks.serving import provider

PROVE_SECONDS = 60  # from a provider's word to its own name servers
TRY_SECONDS = 86400  # a provider lets nobody write all the time


@step("point the domains of {instance.name} at {place}")
def point(instance: OdooInstance, place: Place) -> Outcome:
    """Change the records, and prove it by asking; say what is left to do by hand.

    Customers are served already, so a provider that fails does not undo anything. Without one in
    the inventory the names are a person's to point: the report says so, and the run ends green.
    """
    names, target = ", ".join(instance.domains), addresses(instance, place)
    if not instance.domains:
        return Outcome(done=True, sentence="no domains in the inventory: nothing to point")
    if instance.dns is None:
        return Outcome(
            done=True,
            sentence=f"by hand: point {names} at {target} (no DNS provider in the inventory)",
        )
    try:
        if place.kind == "recovery":
            _note(instance, instance.dns)
        # At home a name leads to what it had before as well.
        before = _noted(instance) if place.kind == "origin" else {}
        ours = place.host.shown_addresses
        wanted = {domain: {**before.get(domain, {}), **ours} for domain in instance.domains}
        pointed, failed = _change_each(instance, instance.dns, place, wanted)
        if before and not failed:  # one that could not be read stays, and is warned of
            records.forget(instance.recovery, instance, Names)
    except CommandFailed as error:
        log().error("%s", error)
        return Outcome(
            done=False,
            sentence=f"not done: {error.message}. By hand: point {names} at {target}",
        )
    lost = f"; removed: {', '.join(gone)}" if (gone := _removed(pointed, wanted)) else ""
    if not failed:
        return Outcome(done=True, sentence=f"{names}: {target}{lost}")
    why = "; ".join(dict.fromkeys(failed.values()))
    rest, done = ", ".join(failed), ", ".join(each for each in wanted if each not in failed)
    if not done:
        return Outcome(done=False, sentence=f"not done: {why}. By hand: point {rest} at {target}")
    return Outcome(
        done=False,
        sentence=f"not done: {why}. By hand: point {rest} at {target}. Done: {done}{lost}",
    )


def _change_each(
    instance: OdooInstance, known: Dns, place: Place, wanted: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Change and prove each name by itself; give what was removed, and why others were not done."""
    pointed, failed = dict[str, list[str]](), dict[str, str]()
    for domain, mine in wanted.items():
        require_lease()  # a provider does not judge whose turn it is
        try:
            pointed[domain] = provider.change(known, domain, mine, beside=instance.domains)
        except CommandFailed as error:
            log().error("%s", error)
            failed[domain] = error.message
    ends = time.monotonic() + PROVE_SECONDS  # of all together: their servers are the same
    for domain in pointed:
        try:
            _prove(known, domain, place, wanted[domain], seconds=max(1, ends - time.monotonic()))
        except CommandFailed as error:
            log().error("%s", error)
            failed[domain] = error.message
    return pointed, failed


def _removed(
    pointed: Mapping[str, list[str]], wanted: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Name the records of a kind that a name no longer has at all."""
    return [
        f"{each} of {domain}"
        for domain, removed in pointed.items()
        for each in removed
        if each.split()[0] not in wanted[domain]
    ]


def addresses(instance: OdooInstance, place: Place) -> str:
    """Say where names are pointed, with the kind of address that they lose, if any."""
    mine, others = place.host.shown_addresses, instance.opposite(place).host.shown_addresses
    said = [mine[kind] for kind in provider.KINDS if kind in mine]
    return ", ".join([*said, *(f"no {kind}" for kind in others if kind not in mine)])


def _note(instance: OdooInstance, known: Dns) -> None:
    """Write down the addresses of the origin that the inventory lacks, before they are removed."""
    noted = _noted(instance)
    mine = instance.origin.host.shown_addresses
    ours = instance.recovery.host.shown_addresses
    for domain in instance.domains:
        for kind, found in provider.addresses(known, domain).items():
            strange = [each for each in found if each != ours.get(kind)]
            if kind not in mine and strange:
                noted.setdefault(domain, {})[kind] = strange[0]
    if noted:
        records.write(instance.recovery, instance, Names(addresses=noted))


def _noted(instance: OdooInstance) -> dict[str, dict[str, str]]:
    known = records.read(instance.recovery, instance, Names)
    return known.addresses if known else {}


def _prove(
    known: Dns, domain: str, place: Place, wanted: Mapping[str, str], *, seconds: float
) -> None:
    """Require that the name servers of the zone say it too, which may take them a moment."""
    from tasks.serving import resolver  # noqa: PLC0415  # which no start of Odoo waits for

    said: list[str] = []

    def shown() -> bool:
        said.append(resolver.astray(known, domain, wanted))
        return not said[-1]

    try:
        until(shown, what=f"{domain} leads to {place}", timeout_seconds=seconds, every=1)
    except CommandFailed as error:
        raise CommandFailed(said[-1] if said else error.message, hint=error.hint) from error


def judge(instance: OdooInstance, place: Place) -> list[str]:
    """Require that customers are led to a place, and that the provider lets us lead them away."""
    from tasks.serving import resolver  # noqa: PLC0415  # which no start of Odoo waits for

    if not instance.domains:
        return ["no domains in the inventory"]
    _require_fixed_addresses(instance)
    if instance.dns is None:
        return ["no DNS provider in the inventory: change the names by hand"]
    host = place.host
    for domain in instance.domains:
        if said := resolver.astray(instance.dns, domain, host.shown_addresses):
            raise Refused(
                f"{said}, but in the inventory {place} is {addresses(instance, place)}",
                hint="correct public_address and public_address6 of that server in the inventory, "
                "or the records of the zone",
            )
    return [f"{len(instance.domains)} names lead to {place}", *_try(instance, place)]


def _require_fixed_addresses(instance: OdooInstance) -> None:
    """Refuse a server that is reached by a name which the next move points at the other one.

    By day, and not where the inventory is read: a failover itself works, and the way home does not.
    """
    for place in (instance.origin, instance.recovery):
        if (name := place.host.address.lower()) in {each.lower() for each in instance.domains}:
            raise Refused(
                f"{place} is reached as {name}, a domain that a failover points at another server",
                hint=f"write the IP address of {place} in the place of {name} in the inventory, "
                "then run relevo apply",
            )


def _try(instance: OdooInstance, place: Place) -> list[str]:
    """Let the provider show that we may write: once a day, and when the inventory has another."""
    assert instance.dns is not None, "who has none is not asked"
    mark = _mark(instance, instance.dns)
    noted = records.read(instance.recovery, instance, Provider)
    if noted and noted.mark == mark and time.time() - noted.at < TRY_SECONDS:
        return list(noted.remarks)
    try:
        said = [
            provider.rehearse(
                instance.dns, domain, place.host.shown_addresses, beside=instance.domains
            )
            for domain in instance.domains
        ]
    except CommandFailed as error:
        raise Refused(
            error.message,
            hint=error.hint
            or f"correct dns of {instance.name} in the inventory and its options in secrets.yaml",
        ) from error
    remarks = [each for each in said if each]
    tried = Provider(at=time.time(), mark=mark, remarks=tuple(remarks))
    records.write(instance.recovery, instance, tried)
    return remarks


def _mark(instance: OdooInstance, known: Dns) -> str:
    """Tell one way to the provider from another, and nobody its secrets."""
    options = {name: value.get_secret_value() for name, value in sorted(known.options.items())}
    said = repr((known.provider, known.zone, options, instance.domains)).encode()
    key = instance.signing_key.get_secret_value().encode()
    return hmac.new(key, said, hashlib.sha256).hexdigest()
