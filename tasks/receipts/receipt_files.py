"""What a host keeps of receipts: where, which of it is genuine, and whose signature counts."""

import base64
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from blocks import signing
from blocks.answers import understood
from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import together
from tasks.host.files import STATE
from tasks.install.programs import GUARDS
from tasks.receipts import receipt as reading
from tasks.receipts import signers as reading_signers
from tasks.receipts.receipt import NAMESPACE, Receipt
from tasks.receipts.signers import Signers

# What was set aside under a receipt's name as well: it is evidence.
ALL = """
cd "$1" 2>/dev/null || exit 0
for path in receipts/* right.json; do
    if [ -f "$path" ]; then echo "$path $(base64 -w 0 <"$path")"; fi
done
"""
# What is there and cannot be read is said in its place: it must not look as if it were not there.
READ = """
exec 2>/dev/null
[ ! -e "$1/receipts" ] || find "$1/receipts/" -maxdepth 1 -name '*.json' -exec cat {} + ||
    echo unreadable
echo
echo right
[ ! -e "$1/right.json" ] || cat "$1/right.json" || echo unreadable
echo
echo signers
cat "$2" || true
"""


def folder(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "receipts"


def right_path(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "right.json"


def asked_path(instance: OdooInstance) -> PurePosixPath:
    """Touched whenever the origin asks because its PostgreSQL is about to write."""
    return STATE / instance.name / "asked"


def signers_path(instance: OdooInstance, place: Place) -> PurePosixPath:
    """Root's note of whose signature counts: at the origin, the guard's own."""
    if place.kind == "origin":
        return GUARDS / instance.name / "signer"
    return STATE / instance.name / "signers"


def believed(instance: OdooInstance) -> Signers:
    """Whose signature this run believes: only what secrets.yaml says, never what a host says."""
    keys = [instance.signing_key, *filter(None, [instance.next_signing_key])]
    current = dict.fromkeys(signing.public_key(key) for key in keys)
    retired = {k: epoch for k, epoch in instance.retired_keys.items() if k not in current}
    return Signers(tuple(current), retired)


@dataclass(frozen=True)
class Kept:
    """What a host keeps: genuine receipts by their epochs, its right.json, and what is false.

    `signed` says who signed each of them, believed or not; `signers` whom the host believes.
    """

    files: dict[int, Receipt]
    right: Receipt | None
    false: int
    lines: dict[int, str] = field(default_factory=dict)
    signed: dict[int, str] = field(default_factory=dict)
    signers: Signers = field(default_factory=Signers)

    @property
    def all(self) -> dict[int, Receipt]:
        """The guard may know a receipt of which there is no file yet."""
        return {**({self.right.epoch: self.right} if self.right else {}), **self.files}


def history(instance: OdooInstance, place: Place) -> list[Receipt]:
    """The receipts that a host keeps, oldest first; refuse those that we never signed."""
    kept = kept_on(instance, place)
    if kept.false:
        raise Refused(
            f"{place} has {kept.false} receipts of {instance.name} that Relevo never signed",
            hint=f"compare {folder(instance)} with that of the other host, move the false ones "
            "away and find out who wrote them",
        )
    return [kept.all[epoch] for epoch in sorted(kept.all)]


def asking(instance: OdooInstance, place: Place) -> tuple[str, ...]:
    """The command that reads what a host keeps."""
    paths = (str(STATE / instance.name), str(signers_path(instance, place)))
    return ("sh", "-c", READ, "receipts", *paths)


def kept_on(instance: OdooInstance, place: Place) -> Kept:
    """Read what a host keeps, and judge whose it is."""
    output = together.ask(place.host.shell(), asking(instance, place)).stdout
    text, _, rest = output.partition("right\n")
    right, _, named = rest.partition("signers\n")
    mine = believed(instance)
    found = [_Line.judge(instance, mine, line) for line in text.splitlines() if line]
    now = [_Line.judge(instance, mine, line) for line in right.splitlines() if line]
    return Kept(
        files={each.receipt.epoch: each.receipt for each in found if each.receipt},
        right=next((each.receipt for each in now if each.receipt), None),
        false=sum(each.receipt is None for each in (*found, *now)),
        lines={each.receipt.epoch: each.text for each in (*now, *found) if each.receipt},
        signed={each.epoch: each.key for each in (*now, *found) if each.key},
        signers=reading_signers.parse(named),
    )


def texts(instance: OdooInstance, place: Place) -> dict[str, str]:
    """All that a host keeps under the name of receipts, genuine or not, by its file."""
    argv = ("sh", "-c", ALL, "all receipts", str(STATE / instance.name))
    output = place.host.shell().run(argv).stdout
    with understood(f"the receipts of {instance.name} on {place}"):
        pairs = (line.split(" ") for line in output.splitlines())
        return {
            path: base64.b64decode(text, validate=True).decode(errors="backslashreplace")
            for path, text in pairs
        }


@dataclass(frozen=True)
class _Line:
    """A line of a host's; the receipt in it if we believe its signature, and who signed."""

    text: str
    receipt: Receipt | None = None
    key: str = ""
    epoch: int = 0

    @classmethod
    def judge(cls, instance: OdooInstance, mine: Signers, line: str) -> "_Line":
        try:
            text, signature = reading.unseal(line)
            receipt = reading.parse(text)
            key = signing.signer(text, signature, namespace=NAMESPACE)
        except (ValueError, TypeError):  # of a signature that cannot even be compared, too
            return cls(line)
        if receipt.instance != instance.name or not key:
            return cls(line)
        genuine = mine.believes(key, receipt.epoch)
        return cls(line + "\n", receipt if genuine else None, key, receipt.epoch)
