"""Receipts on both hosts: who has the write right, since when, and what it cost.

They are signed by the runner, numbered by epoch, never changed, and all kept. The newest stands
once more in right.json, which the origin's guard asks for.
"""

from pathlib import PurePosixPath

from blocks import signing
from blocks.errors import Refused, Unreachable
from blocks.instance import OdooInstance, Place
from tasks import files, record
from tasks.files import STATE
from tasks.look import look, received, try_look
from tasks.policy import log, step
from tasks.read import receipt as reading
from tasks.read.exposure import Exposure
from tasks.read.receipt import NAMESPACE, Kind, Receipt, Stand

READ = 'cd "$1" 2>/dev/null || exit 0; cat receipts/*.json right.json 2>/dev/null || :'


def folder(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "receipts"


def right_path(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "right.json"


def history(instance: OdooInstance, place: Place) -> list[Receipt]:
    """The receipts that a host keeps, oldest first; refuse those that we never signed."""
    genuine, false = _read(instance, place)
    if false:
        raise Refused(
            f"{place} keeps {false} receipts of {instance.name} that Relevo never signed",
            hint=f"compare {folder(instance)} with that of the other host, move what is false away "
            "and find out who wrote it",
        )
    return genuine


def _read(instance: OdooInstance, place: Place) -> tuple[list[Receipt], int]:
    argv = ("sh", "-c", READ, "receipts", str(STATE / instance.name))
    lines = place.host.shell().run(argv).stdout.splitlines()
    found = [_genuine(instance, line) for line in lines]
    genuine = {receipt.epoch: receipt for receipt in found if receipt}
    return [genuine[epoch] for epoch in sorted(genuine)], found.count(None)


def _genuine(instance: OdooInstance, line: str) -> Receipt | None:
    try:
        text, signature = reading.unseal(line)
        receipt = reading.parse(text)
    except ValueError:
        return None
    if not signing.is_genuine(text, signature, instance.signing_key, namespace=NAMESPACE):
        return None
    return receipt if receipt.instance == instance.name else None


def newest(instance: OdooInstance) -> tuple[Receipt | None, bool]:
    """The newest genuine receipt on either host, and whether both could be asked.

    What is not genuine is passed over, aloud: a spoiled file must not stop a failover.
    """
    found: list[Receipt] = []
    asked = 0
    for place in (instance.recovery, instance.origin):
        try:
            genuine, false = _read(instance, place)
        except Unreachable:
            continue
        if false:
            log().warning("%s keeps %d receipts that Relevo never signed", place, false)
        found, asked = [*found, *genuine], asked + 1
    return max(found, key=lambda each: each.epoch, default=None), asked == 2  # noqa: PLR2004


def publish(instance: OdooInstance, receipt: Receipt) -> None:
    """Write a receipt down on both hosts, the recovery host first; a dead one goes without."""
    text = receipt.text()
    mark = signing.sign(text, instance.signing_key, namespace=NAMESPACE)
    line = reading.sealed(text, mark)
    _install(instance, instance.recovery, receipt, line)
    try:
        _install(instance, instance.origin, receipt, line)
    except Unreachable as error:
        log().warning("%s has no copy of the receipt: %s", instance.origin, error.message)
    log().info("%s", receipt)


def _install(instance: OdooInstance, place: Place, receipt: Receipt, line: str) -> None:
    shell = place.host.shell()
    path = folder(instance) / f"{receipt.epoch:06d}.json"
    kept = files.read(shell, path)
    if kept and kept != line:
        raise Refused(
            f"{path} on {place} is another receipt of the same epoch",
            hint="two procedures wrote at once, or somebody did; look at both, then move it away",
        )
    files.install(shell, path, line, mode="444")
    files.install(shell, right_path(instance), line, mode="644")


def make(
    instance: OdooInstance, *, kind: Kind, taker: Place, reason: str = "", loss: str = ""
) -> Receipt:
    """Number a new receipt after the newest known, with what the giver's control file says."""
    known, both_asked = newest(instance)
    giver = instance.opposite(taker)
    seen = try_look(giver) if kind == "demotion" else look(taker)
    control = seen.control if seen else None
    if control is None:
        raise Refused(f"there is no control file to write a receipt of {instance.name} from")
    return Receipt(
        instance=instance.name,
        epoch=reading.next_epoch(known, both_asked=both_asked),
        kind=kind,
        giver=giver.kind,
        taker=taker.kind,
        system_identifier=control.system_identifier,
        timeline=control.timeline,
        checkpoint=str(control.checkpoint) if kind == "demotion" else "",
        time=record.now(taker.host.shell()),
        reason=reason,
        loss=loss,
    )


def objection(instance: OdooInstance, giver: Place, taker: Place, receipt: Receipt | None) -> str:
    """Why a receipt does not entitle the taker to write now; nothing when it does."""
    control = look(giver).control
    if control is None or not control.shut_down:
        return f"{giver} was not shut down cleanly"
    stand = Stand(
        instance=instance.name,
        giver=giver.kind,
        taker=taker.kind,
        system_identifier=control.system_identifier,
        timeline=control.timeline,
        checkpoint=control.checkpoint,
        received=received(taker),
    )
    return reading.objection(receipt, stand)


def record_demotion(instance: OdooInstance, giver: Place, taker: Place) -> None:
    """Write the receipt of a demotion that was proven, unless it stands there already."""
    known, _ = newest(instance)
    if known and not objection(instance, giver, taker, known):
        publish(instance, known)
    else:
        publish(instance, make(instance, kind="demotion", taker=taker))


@step("require the receipt by which {taker} may write")
def require(instance: OdooInstance, giver: Place, taker: Place) -> None:
    """Refuse to promote without a genuine receipt, the newest, that fits what the hosts say."""
    if look(taker).is_primary:
        return
    for place in (giver, taker):
        kept = history(instance, place)
        known, _ = newest(instance)
        if (kept[-1] if kept else None) != known:
            raise Refused(
                f"the newest receipt of {instance.name} is not on {place}",
                hint=f"compare {folder(instance)} on both hosts, then run this again",
            )
        if why := objection(instance, giver, taker, known):
            raise Refused(
                f"the receipt of {instance.name} does not let {taker} write: {why}",
                hint="run this again, which demotes anew; or accept the loss and give a reason",
            )


@step("write down that {instance.recovery} has the write right of {instance.name}")
def award(instance: OdooInstance, exposure: Exposure, *, reason: str) -> None:
    """Before a promotion: a receipt that the origin's guard will find, whenever it comes back."""
    origin, recovery = instance.origin, instance.recovery
    known, both_asked = newest(instance)
    if look(recovery).is_primary and known and known.taker == recovery.kind:
        return
    if exposure.lossless and both_asked:
        record_demotion(instance, origin, recovery)
    else:
        loss = str(exposure)
        publish(instance, make(instance, kind="forced", taker=recovery, reason=reason, loss=loss))


@step("write the first receipt of {instance.name}")
def begin(instance: OdooInstance) -> None:
    """Say on both hosts that the origin, which the other one follows, has the write right."""
    known, _ = newest(instance)
    if known is None or known.taker != instance.origin.kind:
        known = make(instance, kind="first", taker=instance.origin)
    publish(instance, known)
