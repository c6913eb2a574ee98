"""Receipts: who handed the write right to whom, and what follows from the newest of them."""

from __future__ import annotations

import json
from typing import Any

LINE_BYTES = 1 << 16  # of a receipt; Relevo's take some 700
RETIRED = "relevo-until-"
SIDES = ("origin", "recovery")


def newest(own: dict[str, Any] | None, told: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give the receipt that counts: an equal or older one from outside is no news.

    >>> newest({"epoch": 3, "taker": "origin"}, {"epoch": 2, "taker": "recovery"})["taker"]
    'origin'
    """
    if told is None or (own is not None and told["epoch"] <= own["epoch"]):
        return own
    return told


def verdict(
    known: dict[str, Any] | None, *, place: str, answered: bool, unanswered: str, doubt: str = ""
) -> tuple[bool, str]:
    """May this place write? With the sentence that says why.

    A doubt says why a record that is there does not count.

    >>> verdict(None, place="origin", answered=True, unanswered="serve")
    (True, 'no receipt of this instance is known')
    >>> verdict({"epoch": 2, "taker": "recovery"}, place="origin", answered=False,
    ...     unanswered="serve")
    (False, 'epoch 2 gave the write right to recovery')
    >>> verdict({"epoch": 1, "taker": "origin"}, place="origin", answered=False,
    ...     unanswered="hold")[0]
    False
    >>> verdict(None, place="origin", answered=True, unanswered="serve", doubt="it is torn")
    (False, 'it is torn')
    """
    if known is not None and known["taker"] != place:
        return False, "epoch {epoch} gave the write right to {taker}".format(**known)
    if not answered and unanswered == "hold":
        return False, "nobody answers who has the write right, and the policy is to hold"
    if known is None and doubt:
        return False, doubt
    if known is None:
        return True, "no receipt of this instance is known"
    who = "" if answered else ", and nobody says otherwise"
    return True, "epoch {epoch} gave the write right to {taker}{0}".format(who, **known)


def signers(named: str, epoch: int) -> list[str]:
    """Name those whose signature counts under an epoch; a retired key signs nothing newer.

    >>> signers("relevo n k\\nrelevo-until-7 n k\\nrelevo-until-x n k\\n", 7)
    ['relevo', 'relevo-until-7']
    >>> signers("relevo n k\\nrelevo-until-7 n k\\n", 8)
    ['relevo']
    """
    names = {line.split()[0] for line in named.splitlines() if line.strip()}
    until = {who: who[len(RETIRED) :] for who in names if who.startswith(RETIRED)}
    kept = [who for who, last in until.items() if last.isdecimal() and epoch <= int(last)]
    return ["relevo", *sorted(kept)]


def unseal(line: str) -> tuple[dict[str, Any], bytes, bytes] | None:
    """Read a receipt with its text and its signature, which is still to be checked.

    >>> unseal("unknown") is None, unseal('{"text": "{}", "signature": "s"}') is None
    (True, True)
    """
    try:
        sealed = json.loads(line)
        text, signature = str(sealed["text"]), str(sealed["signature"])
        receipt: dict[str, Any] = json.loads(text)
        whole = isinstance(receipt["epoch"], int) and receipt["taker"] in SIDES
        return (receipt, text.encode(), signature.encode()) if whole else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
