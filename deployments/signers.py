"""Which signing key each instance has, remembered beside secrets.yaml: public halves alone.

A signing key is invented once, for an instance that is new. Whether it is new says this file, or
Prefect, or a host that keeps its receipts; each of them outlives a secrets.yaml that was lost.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from blocks import signing
from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from deployments.alone import alone
from deployments.secrets import Secrets, write
from tasks.authority import keys
from tasks.run import terminal

FILE = "signers.yaml"
HEAD = """\
# Written by `relevo apply` and `relevo rotate-key`: the public half of each signing key.
# It holds no secret. Keep it: without it a lost secrets.yaml is noticed later.
"""


def path(secrets: Secrets) -> Path:
    return secrets.path.with_name(FILE)


def read(secrets: Secrets) -> dict[str, str]:
    """The key that each instance had when it was last applied."""
    try:
        found = yaml.safe_load(path(secrets).read_text()) or {}
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise Refused(
            f"{path(secrets)} cannot be read: {error}",
            hint="repair it, or restore it from a backup",
        ) from None
    if not isinstance(found, dict):
        raise Refused(
            f"{path(secrets)} must have one line per instance", hint="restore it from a backup"
        )
    return {str(name): str(key) for name, key in found.items()}


def keep(secrets: Secrets, instances: list[OdooInstance]) -> Iterator[str]:
    """Remember the keys of today; say which are new here."""
    now = {each.name: signing.public_key(each.signing_key) for each in instances}
    changed = list[str]()

    def renewed(before: dict[str, str]) -> dict[str, str]:
        changed.extend(name for name in now if before.get(name) != now[name])
        return {**before, **now}

    _change(secrets, renewed)
    if changed:
        yield f"remembered in {path(secrets)} the signing key of {', '.join(changed)}"


def forget(secrets: Secrets, name: str) -> bool:
    """Remember the key of an instance no more; tell whether it was remembered."""
    return _change(secrets, lambda known: {who: key for who, key in known.items() if who != name})


def _change(secrets: Secrets, change: Callable[[dict[str, str]], dict[str, str]]) -> bool:
    """Change what is remembered, while no other run does; tell whether anything changed."""
    try:
        with alone(path(secrets).parent):
            known = read(secrets)
            if (wanted := change(known)) == known:
                return False
            write(path(secrets), HEAD + yaml.safe_dump(wanted, width=200), mode=0o644)
    except OSError as error:
        raise Refused(
            f"{path(secrets)} cannot be written: {error.strerror}",
            hint=f"run this as a user who may write in {path(secrets).parent}, or as root",
        ) from None
    return True


def require_ours(
    secrets: Secrets, instances: list[OdooInstance], *, in_prefect: Callable[[str], bool]
) -> Iterator[str]:
    """Refuse to invent a signing key for an instance that is known, or to take another for it.

    Yields a sentence for each new instance whose hosts could not be asked.
    """
    remembered = read(secrets)
    kept = [each for each in instances if not secrets.lacks_key(each.name)]
    if other := [each.name for each in kept if _differs(each, remembered)]:
        why = dict.fromkeys(other, f"{FILE} names the one before")
        raise _refusal(f"{secrets.path} has another signing key than before of", why)
    lacking = [each for each in instances if secrets.lacks_key(each.name)]
    lost = {each.name: f"{FILE} names it" for each in lacking if each.name in remembered}
    lost |= {each.name: "Prefect has its block" for each in lacking if in_prefect(each.name)}
    asked = [each for each in lacking if each.name not in lost]
    with terminal.without_server(), ThreadPoolExecutor(max_workers=16) as pool:
        for each, (trace, silent) in zip(asked, pool.map(_traces, asked), strict=True):
            if trace:
                lost[each.name] = trace
            elif silent:
                yield (
                    f"{each.name} is taken for new, and {silent} does not answer: replicate will "
                    "refuse if it keeps receipts"
                )
    if lost:
        raise _refusal(f"{secrets.path} has no signing key of", lost)


def _differs(instance: OdooInstance, remembered: dict[str, str]) -> bool:
    """Tell whether an instance has another key than it was last applied with, not a newer one."""
    before = remembered.get(instance.name)
    return bool(before) and before not in {
        signing.public_key(instance.signing_key),
        *instance.retired_keys,
    }


def _traces(instance: OdooInstance) -> tuple[str, str]:
    """What a host keeps of an instance, and which host could not be asked."""
    silent = ""
    for place in (instance.recovery, instance.origin):
        try:
            if trace := keys.traces(instance, place):
                return trace, ""
        except RelevoError:
            silent = silent or str(place)
    return "", silent


def _refusal(what: str, found: dict[str, str]) -> Refused:
    said = "; ".join(f"{name} ({why})" for name, why in found.items())
    names = " and ".join(f"`relevo rotate-key {name}`" for name in found)
    return Refused(
        f"{what} {said}, and the guards would not trust a new one; nothing was changed",
        hint=f"restore secrets.yaml from its backup, or run {names}",
    )
