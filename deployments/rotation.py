"""A new signing key for one instance, in an order in which no moment leaves no valid key.

1. secrets.yaml gets the new key beside the old one, on the disk before any host hears of it.
2. Both hosts believe both keys.
3. The newest receipt is said once more, as a new epoch that the new key signs.
4. The guard at the origin is seen to believe it.
5. secrets.yaml signs with the new key, and keeps the public half of the old one as retired.
6. Both hosts believe the new key alone, and the old one up to the last epoch that it signed.
7. secrets.yaml forgets that a rotation was under way.

Killed anywhere, it is run again: each step looks at what is there. Until the fifth, runs sign with
the old key and are believed; from the fifth on, with the new one.
"""

from collections.abc import Callable

from pydantic import SecretStr

from blocks import signing
from blocks.instance import OdooInstance
from deployments import signers
from deployments.secrets import Secrets, invent
from tasks.authority import keys
from tasks.host import lock
from tasks.notices import audit

Read = Callable[[], OdooInstance]


def rotate(read: Read, secrets: Secrets) -> str:
    """Make a new signing key; `read` gives the instance as secrets.yaml has it by then.

    Where the old key is lost, its public half is taken from the hosts, if both say the same.
    """
    instance = read()
    with audit.noted(instance, "rotate-key"), lock.held(instance, "rotate-key"):
        secrets.renew()  # another rotation may have ended while this one waited for the lock
        instance = read()
        retire = keys.survey(instance, instance.next_signing_key)
        new = instance.next_signing_key or SecretStr(invent())
        if not retire and not keys.is_known(instance, new):
            secrets.change(instance.name, signing=new.get_secret_value(), signing_next=None)
            return _remember(
                read, secrets, f"{instance.name} has a new key; neither host knew the old one"
            )
        _begin(instance, secrets, new, retire)

        keys.introduce(read(), new)
        epoch = keys.renew(_signing_with(read(), new))
        keys.require_heard(instance, epoch)

        _turn(read(), secrets, new, retire)
        keys.retire(read())
        keys.require_heard(instance, epoch)
        secrets.change(instance.name, signing_next=None)
    return _remember(
        read,
        secrets,
        f"epoch {epoch} of {instance.name} is signed with the new key, and both hosts accept it",
    )


def _remember(read: Read, secrets: Secrets, said: str) -> str:
    for _ in signers.keep(secrets, [read()]):
        pass
    return said


def _begin(
    instance: OdooInstance, secrets: Secrets, new: SecretStr, retire: dict[str, int]
) -> None:
    """Keep the new key; where the old one is lost, its public half as well."""
    kept = {"signing_next": new.get_secret_value()}
    if signing.public_key(instance.signing_key) in retire:
        secrets.change(instance.name, **kept)
        return
    known = {**instance.retired_keys, **retire}
    secrets.change(instance.name, **kept, signing=new.get_secret_value(), retired=known)


def _turn(instance: OdooInstance, secrets: Secrets, new: SecretStr, retire: dict[str, int]) -> None:
    """Sign with the new key from now on."""
    old = {**retire, **instance.retired_keys}
    old.pop(signing.public_key(new), None)
    secrets.change(instance.name, signing=new.get_secret_value(), retired=old)


def _signing_with(instance: OdooInstance, new: SecretStr) -> OdooInstance:
    """The same instance, which signs with the new key and believes the old one too."""
    if signing.public_key(instance.signing_key) == signing.public_key(new):
        return instance
    return instance.model_copy(
        update={"signing_key": new, "next_signing_key": instance.signing_key}
    )
