"""Receipts on both hosts: who has the write right, since when, and what it cost.

They are signed by the runner, numbered by epoch, never changed, and all kept. The newest stands
once more in right.json, which the origin's guard asks for.
"""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from blocks import signing
from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance, Place
from tasks.host import together
from tasks.host.together import Write
from tasks.postgres.observe import observe, observe_if_reachable, received
from tasks.receipts import receipt as reading
from tasks.receipts import receipt_files
from tasks.receipts.receipt import NAMESPACE, Kind, Receipt, Stand
from tasks.receipts.receipt_files import Kept
from tasks.records import records
from tasks.records.loss import Exposure
from tasks.run.act import because
from tasks.run.step import log, step


@dataclass(frozen=True)
class Asked:
    """What those of the two hosts keep that could be asked, by the kind of place."""

    kept: dict[str, Kept]

    @property
    def both(self) -> bool:
        return len(self.kept) == 2  # noqa: PLR2004

    @property
    def all(self) -> dict[int, Receipt]:
        return {epoch: each for kept in self.kept.values() for epoch, each in kept.all.items()}

    @property
    def lines(self) -> dict[int, str]:
        """Each receipt as it was sealed: one that another key signed cannot be sealed again."""
        return {epoch: each for kept in self.kept.values() for epoch, each in kept.lines.items()}

    @property
    def signed(self) -> dict[int, str]:
        """Who signed each receipt that we believe."""
        return {epoch: kept.signed[epoch] for kept in self.kept.values() for epoch in kept.lines}

    @property
    def newest(self) -> Receipt | None:
        return self.all[max(self.all)] if self.all else None


def ask(instance: OdooInstance, *, ask_origin: bool = True) -> Asked:
    """Read what both hosts keep, or the recovery host alone.

    What is not genuine is passed over, aloud: a spoiled file must not stop a failover.
    """
    kept: dict[str, Kept] = {
        instance.recovery.kind: receipt_files.kept_on(instance, instance.recovery)
    }
    if ask_origin:
        with contextlib.suppress(Unreachable):
            kept[instance.origin.kind] = receipt_files.kept_on(instance, instance.origin)
    for kind, each in kept.items():
        if each.false:
            log().warning("the %s keeps %d receipts that Relevo never signed", kind, each.false)
    return Asked(kept)


def newest(instance: OdooInstance) -> Receipt | None:
    """The newest genuine receipt on either host."""
    return ask(instance).newest


def publish(
    instance: OdooInstance, receipt: Receipt, asked: Asked, *, notes: Sequence[Write] = ()
) -> None:
    """Write a receipt down on the hosts that were asked, the recovery host first.

    What one of them missed while it was away is brought to it, so that both keep the same. Notes
    of the recovery host stand there before the receipt does.
    """
    wanted = {**asked.all, receipt.epoch: receipt}
    lines = {epoch: _line(instance, wanted[epoch], asked) for epoch in wanted}
    for place, before in ((instance.recovery, notes), (instance.origin, ())):
        if place.kind in asked.kept:
            lacking = _lacking(instance, place, wanted, lines, asked.kept[place.kind])
            _complete(place, [*before, *lacking])
    log().info("%s", receipt)


def _complete(place: Place, writes: Sequence[Write]) -> None:
    """Write what a host lacks; what stood under a receipt's name and is none is evidence."""
    shell = place.host.shell()
    for path in together.write(shell, *writes):
        log().warning("%s on %s was no receipt of ours", path, shell.host)


def _lacking(
    instance: OdooInstance,
    place: Place,
    wanted: dict[int, Receipt],
    lines: dict[int, str],
    kept: Kept,
) -> Iterator[Write]:
    """What a host lacks; the newest last, under the name by which the guard asks."""
    for epoch in sorted(wanted):
        path, line = receipt_files.folder(instance) / f"{epoch:06d}.json", lines[epoch]
        if epoch not in kept.all and kept.signers.believes(kept.signed.get(epoch, ""), epoch):
            raise Refused(
                f"{path} on {place} is a receipt of a signing key that the guard of "
                f"{instance.origin} trusts, and secrets.yaml does not name that key",
                hint=f"restore the newest secrets.yaml, or run `relevo rotate-key {instance.name}`",
            )
        if kept.files.get(epoch) not in {None, wanted[epoch]}:
            raise Refused(
                f"{path} on {place} is another receipt of the same epoch",
                hint="compare both hosts, then move the wrong receipt away: two runs wrote at once",
            )
        if epoch not in kept.files:
            aside = path.with_suffix(f".{secrets.token_hex(4)}.false")
            yield Write(path, line, "444", aside=aside)
        elif epoch == max(wanted):
            yield Write(path, line, "444")
    yield Write(receipt_files.right_path(instance), line, "644")


def _line(instance: OdooInstance, receipt: Receipt, asked: Asked) -> str:
    """Seal a receipt; one that another key of ours has signed stays as that key signed it."""
    signer = asked.signed.get(receipt.epoch, "")
    if receipt.epoch in asked.lines and signer != signing.public_key(instance.signing_key):
        return asked.lines[receipt.epoch]
    return _seal(instance, receipt)


def _seal(instance: OdooInstance, receipt: Receipt) -> str:
    text = receipt.text()
    mark = signing.sign(text, instance.signing_key, namespace=NAMESPACE)
    return reading.sealed(text, mark)


def write(
    instance: OdooInstance,
    *,
    kind: Kind,
    taker: Place,
    reason: str = "",
    loss: str = "",
    asked: Asked | None = None,
    notes: Sequence[Write] = (),
) -> None:
    """Write a new receipt, numbered after the newest that is known."""
    asked = asked or ask(instance)
    receipt = _make(instance, kind=kind, taker=taker, reason=reason, loss=loss)
    epoch = reading.next_epoch(asked.newest, both_asked=asked.both)
    publish(instance, replace(receipt, epoch=epoch), asked, notes=notes)


def _make(instance: OdooInstance, *, kind: Kind, taker: Place, reason: str, loss: str) -> Receipt:
    """Say what the control file says: the giver's, if it was demoted, else the taker's."""
    giver = instance.opposite(taker)
    state = observe_if_reachable(giver) if kind == "demotion" else observe(taker)
    control = state.control if state else None
    if control is None:
        raise Refused(f"there is no control file to write a receipt of {instance.name} from")
    return Receipt(
        instance=instance.name,
        epoch=1,
        kind=kind,
        giver=giver.kind,
        taker=taker.kind,
        system_identifier=control.system_identifier,
        timeline=control.last_timeline,
        checkpoint=str(control.checkpoint) if kind == "demotion" else "",
        time=records.now(taker.host.shell()),
        reason=because(reason) if kind in {"demotion", "forced"} else reason,
        loss=loss,
    )


def objection(
    instance: OdooInstance, old_primary: Place, new_primary: Place, receipt: Receipt | None
) -> str:
    """Why a receipt does not entitle the new primary to write now; nothing when it does."""
    control = observe(old_primary).control
    if control is None or not control.shut_down:
        return f"{old_primary} was not shut down cleanly"
    stand = Stand(
        instance=instance.name,
        giver=old_primary.kind,
        taker=new_primary.kind,
        system_identifier=control.system_identifier,
        timeline=control.timeline,
        checkpoint=control.checkpoint,
        received=received(new_primary),
    )
    return reading.objection(receipt, stand)


def record_demotion(
    instance: OdooInstance,
    old_primary: Place,
    new_primary: Place,
    *,
    reason: str = "",
    notes: Sequence[Write] = (),
) -> None:
    """Write the receipt of a demotion that was proven, unless it stands there already."""
    asked = ask(instance)
    known = asked.newest
    if known and not objection(instance, old_primary, new_primary, known):
        publish(instance, known, asked, notes=notes)
    else:
        write(instance, kind="demotion", taker=new_primary, reason=reason, asked=asked, notes=notes)


@step("require that the receipts of {instance.name} are genuine")
def require_genuine(instance: OdooInstance) -> None:
    """Refuse, before anything stops, when a host keeps a receipt that we never signed."""
    for place in (instance.recovery, instance.origin):
        receipt_files.history(instance, place)


@step("require the receipt by which {new_primary} may write")
def require(instance: OdooInstance, old_primary: Place, new_primary: Place) -> None:
    """Refuse to promote without a genuine receipt, the newest, that fits what the hosts say."""
    if observe(new_primary).is_primary:
        return
    kept = {
        str(place): receipt_files.history(instance, place) for place in (old_primary, new_primary)
    }
    known = max((each for held in kept.values() for each in held), key=_epoch, default=None)
    for place, held in kept.items():
        if (held[-1] if held else None) != known:
            raise Refused(
                f"the newest receipt of {instance.name} is not on {place}",
                hint=f"compare {receipt_files.folder(instance)} on both hosts, then run this again",
            )
    if why := objection(instance, old_primary, new_primary, known):
        raise Refused(
            f"the receipt of {instance.name} does not let {new_primary} write: {why}",
            hint="run this again, which demotes again; or accept the loss and give a reason",
        )


def _epoch(receipt: Receipt) -> int:
    return receipt.epoch


def award(
    instance: OdooInstance, exposure: Exposure, *, reason: str, notes: Sequence[Write] = ()
) -> None:
    """Before a promotion: a receipt that the origin's guard will find, whenever it comes back.

    An origin that may be dead is not asked for anything: customers are waiting. Where a receipt
    stands already, the notes are written alone.
    """
    origin, recovery = instance.origin, instance.recovery
    asked = ask(instance, ask_origin=exposure.lossless)
    known = asked.newest
    if observe(recovery).is_primary and known and known.taker == recovery.kind:
        _complete(recovery, notes)
    elif exposure.lossless:
        record_demotion(instance, origin, recovery, reason=reason, notes=notes)
    else:
        write(
            instance, kind="forced", taker=recovery, reason=reason, loss=str(exposure),
            asked=asked, notes=notes,
        )  # fmt: skip


@step("look up what the move of {instance.name} to {place} has lost")
def cost(instance: OdooInstance, place: Place) -> str:
    """Say what was lost, as the newest receipt has it, whichever run wrote it."""
    known = newest(instance)
    if known is None or known.taker != place.kind or known.kind not in {"demotion", "forced"}:
        return f"not known: no receipt says how {place} came to have the write right"
    if known.kind == "forced":
        return f"accepted: {known.loss} ({known.reason})"
    return f"nothing: {place} held the shutdown checkpoint before it was promoted"


@step("write the first receipt of {instance.name}")
def begin(instance: OdooInstance) -> None:
    """Say on both hosts that the origin, which the other one follows, has the write right."""
    asked = ask(instance)
    known = asked.newest
    if known is None or known.taker != instance.origin.kind:
        write(instance, kind="first", taker=instance.origin, asked=asked)
    else:
        publish(instance, known, asked)
