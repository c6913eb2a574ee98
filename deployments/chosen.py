"""The instance that a command names."""

import argparse

from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments.secrets import Secrets


def require_known(name: str, instances: list[OdooInstance]) -> None:
    """Refuse a name that the inventory has not."""
    if name not in {each.name for each in instances}:
        raise Refused(f"there is no instance {name} in the inventory", hint="see relevo list")


def chosen(
    given: argparse.Namespace, instances: list[OdooInstance], secrets: Secrets
) -> OdooInstance:
    """The instance that was named, if this machine has all that is needed to act on it."""
    require_known(given.instance, instances)
    if any(name.startswith(f"{given.instance}.") for name in secrets.invented):
        raise Refused(
            f"{secrets.path} has no passwords for {given.instance}",
            hint="bring secrets.yaml here; or run relevo apply, if the instance is new",
        )
    return next(each for each in instances if each.name == given.instance)
