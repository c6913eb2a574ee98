"""Whether the instances of an inventory may have their names, which is asked of new ones alone.

One that was applied under a reserved name keeps working, for `relevo rename` reads the inventory
too; the board says what to do.
"""

from collections.abc import Iterable

from blocks import reserved
from blocks.errors import Refused
from deployments.secrets import Secrets


def require(names: Iterable[str], secrets: Secrets) -> None:
    """Refuse a new instance whose name is reserved; its secrets were looked for by now."""
    for name in filter(reserved.is_reserved, names):
        from deployments import signers  # noqa: PLC0415  # which no other name has to wait for

        if secrets.lacks_key(name) and name not in signers.read(secrets):
            raise Refused(
                reserved.sentence(name),
                hint="choose another name in the inventory; if the instance has this one already, "
                f"copy secrets.yaml and {signers.FILE} here, then run relevo rename {name} NEW",
            )
