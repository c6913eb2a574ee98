"""A receipt: the record of who handed the write right of an instance to whom, and when.

Each change of roles has one, numbered by its epoch. The newest says who may write.
"""

import json
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from tasks.postgres.wal import Lsn

Side: TypeAlias = Literal["origin", "recovery"]
Kind: TypeAlias = Literal["first", "demotion", "forced", "returned"]
NAMESPACE = "relevo-receipt"
UNSEEN = 1000


@dataclass(frozen=True)
class Receipt:
    """Who handed over to whom; `checkpoint` is the giver's last word, if it had one."""

    instance: str
    epoch: int
    kind: Kind
    giver: Side
    taker: Side
    system_identifier: str
    timeline: int
    checkpoint: str
    time: str
    reason: str = ""
    loss: str = ""

    def text(self) -> str:
        """The one way to write it down, which is what is signed."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def __str__(self) -> str:
        """
        >>> print(Receipt("vps_1", 2, "demotion", "origin", "recovery", "7", 1, "0/30", "noon"))
        epoch 2 of vps_1: origin to recovery at 0/30 (demotion)
        """
        at = f" at {self.checkpoint}" if self.checkpoint else ""
        return (
            f"epoch {self.epoch} of {self.instance}: {self.giver} to {self.taker}{at} ({self.kind})"
        )


def parse(text: str) -> Receipt:
    """Read a receipt; raise ValueError for anything that is none.

    >>> one = Receipt("vps_1", 2, "demotion", "origin", "recovery", "7", 1, "0/30", "noon")
    >>> parse(one.text()) == one
    True
    """
    try:
        facts = json.loads(text)
        receipt = Receipt(**facts)
    except (json.JSONDecodeError, TypeError, RecursionError) as error:
        raise ValueError(f"not a receipt: {error}") from error
    if receipt.text() != text or not isinstance(receipt.epoch, int) or receipt.epoch < 1:
        raise ValueError("not a receipt: it is not in the standard form")
    return receipt


def sealed(text: str, signature: str) -> str:
    """A receipt and its signature, in one line."""
    return json.dumps({"text": text, "signature": signature}) + "\n"


def unseal(line: str) -> tuple[str, str]:
    """Give text and signature; raise ValueError when the line holds neither.

    >>> unseal(sealed("a", "b"))
    ('a', 'b')
    """
    try:
        facts = json.loads(line)
        return str(facts["text"]), str(facts["signature"])
    except (json.JSONDecodeError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("not a sealed receipt") from error


def next_epoch(known: Receipt | None, *, both_asked: bool) -> int:
    """Number the next change; leave room for changes that a silent host may know and we do not.

    >>> next_epoch(None, both_asked=True), next_epoch(None, both_asked=False)
    (1, 1001)
    """
    newest = known.epoch if known else 0
    return newest + (1 if both_asked else UNSEEN + 1)


@dataclass(frozen=True)
class Stand:
    """What is true of the giver and the taker now, against which a receipt is held."""

    instance: str
    giver: Side
    taker: Side
    system_identifier: str
    timeline: int
    checkpoint: Lsn
    received: Lsn


def objection(receipt: Receipt | None, stand: Stand) -> str:
    """Why a receipt does not entitle the taker to write; nothing when it does."""
    if receipt is None:
        return "there is no receipt"
    named = receipt.checkpoint or "no checkpoint"
    objections = (
        (receipt.instance != stand.instance, f"it is a receipt of {receipt.instance}"),
        (
            receipt.system_identifier != stand.system_identifier,
            "it is a receipt of another cluster: the system identifiers differ",
        ),
        (
            (receipt.giver, receipt.taker) != (stand.giver, stand.taker),
            f"it hands over from {receipt.giver} to {receipt.taker}",
        ),
        (receipt.kind != "demotion", f"it records no clean hand-over ({receipt.kind})"),
        (
            receipt.timeline != stand.timeline,
            f"it is about timeline {receipt.timeline}, and this is timeline {stand.timeline}",
        ),
        (
            receipt.checkpoint != str(stand.checkpoint),
            f"it names {named}, and {receipt.giver} was shut down at {stand.checkpoint}",
        ),
        (
            stand.received <= stand.checkpoint,
            f"{stand.taker} has received {stand.received}, and not yet {stand.checkpoint}",
        ),
    )
    return next((why for holds, why in objections if holds), "")
