"""Whose signature counts on a host: the keys that sign now, and those that are retired.

A file of ssh-keygen's, and root's: a retired key stands there under a name that says up to which
epoch it is believed, so a copy of it that was stolen signs nothing newer.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

NOW, UNTIL = "relevo", "relevo-until-"
WORDS = 4


@dataclass(frozen=True)
class Signers:
    """Public keys: those that sign now, and the retired ones with the last epoch of each."""

    current: tuple[str, ...] = ()
    retired: Mapping[str, int] = field(default_factory=dict)

    def believes(self, key: str, epoch: int) -> bool:
        """Tell whether a receipt of an epoch counts that this key signed.

        >>> signers = Signers(("ssh-ed25519 NEW",), {"ssh-ed25519 OLD": 7})
        >>> [signers.believes("ssh-ed25519 OLD", epoch) for epoch in (7, 8)]
        [True, False]
        >>> signers.believes("ssh-ed25519 NEW", 9), signers.believes("", 1)
        (True, False)
        """
        return bool(key) and (key in self.current or epoch <= self.retired.get(key, 0))


def parse(text: str) -> Signers:
    """Read the file; a line that is none of ours names nobody.

    >>> parse('relevo namespaces="n" ssh-ed25519 NEW\\n'
    ...     'relevo-until-7 namespaces="n" ssh-ed25519 OLD\\nnonsense\\n')
    Signers(current=('ssh-ed25519 NEW',), retired={'ssh-ed25519 OLD': 7})
    """
    current, retired = [], {}
    for line in text.splitlines():
        words = line.split()
        if len(words) != WORDS:
            continue
        who, key = words[0], " ".join(words[2:])
        if who == NOW:
            current.append(key)
        elif who.startswith(UNTIL) and (epoch := who.removeprefix(UNTIL)).isdecimal():
            retired[key] = int(epoch)
    return Signers(tuple(current), retired)


def objection(
    mine: str, host: Signers, *, signed: Mapping[int, str], known: AbstractSet[int], who: str
) -> str:
    """Why a host would not believe a key; nothing when it does, or knows none yet.

    `signed` is who signed the receipts that it keeps, by epoch; `known` are those whose signature
    the runner believes; `who` names the one that decides there.

    >>> new, old = "ssh-ed25519 NEW", "ssh-ed25519 OLD"
    >>> objection(new, Signers(), signed={}, known=set(), who="uno")
    ''
    >>> objection(new, Signers((new,)), signed={1: new}, known={1}, who="uno")
    ''
    >>> objection(new, Signers((old,)), signed={}, known=set(), who="uno")
    'the signing key in secrets.yaml is not the one that uno trusts'
    >>> objection(new, Signers(), signed={3: old}, known=set(), who="uno")
    'the signing key in secrets.yaml is not the one that uno trusts'
    >>> objection(old, Signers((new,), {old: 7}), signed={}, known=set(), who="uno")
    'the signing key in secrets.yaml was retired: uno trusts it up to epoch 7 only'
    >>> objection(old, Signers((old, new)), signed={7: old, 8: new}, known={7}, who="uno")
    'rotate-key was started and never finished: uno already has epoch 8 of a new key'
    """
    if mine in host.retired and mine not in host.current:
        return (
            f"the signing key in secrets.yaml was retired: {who} trusts it up to epoch "
            f"{host.retired[mine]} only"
        )
    stranger = f"the signing key in secrets.yaml is not the one that {who} trusts"
    if host.current and mine not in host.current:
        return stranger
    if not host.current and signed and not known:
        return stranger
    newer = [
        epoch for epoch, key in signed.items() if epoch not in known and host.believes(key, epoch)
    ]
    if newer and max(newer) > max(known, default=0):
        return (
            f"rotate-key was started and never finished: {who} already has epoch {max(newer)} of "
            "a new key"
        )
    return ""
