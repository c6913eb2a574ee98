"""The instances that a command line names."""

from blocks.errors import Refused
from blocks.instance import OdooInstance
from deployments import ports
from deployments.inventory_words import alike
from deployments.secrets import Secrets


def require_known(name: str, instances: list[OdooInstance]) -> None:
    """Refuse a name that the inventory has not."""
    named(name, instances)


def named(name: str, instances: list[OdooInstance]) -> OdooInstance:
    """Give an instance by its name; refuse a name that the inventory has not."""
    for each in instances:
        if each.name == name:
            return each
    meant = alike(name, [each.name for each in instances])
    raise Refused(f"there is no instance {name} in the inventory{meant}", hint="run relevo list")


def one(name: str, instances: list[OdooInstance], secrets: Secrets) -> OdooInstance:
    """The instance that was named, if this machine has all that is needed to act on it."""
    found = named(name, instances)
    if lacks_passwords(name, secrets):
        raise Refused(
            f"{secrets.path} has no passwords for {name}",
            hint="copy secrets.yaml here; or run relevo apply, if the instance is new",
        )
    return ports.known_there(found, secrets) if name in secrets.portless else found


def lacks_passwords(name: str, secrets: Secrets) -> bool:
    """Tell whether passwords of an instance had to be invented, and are not kept yet."""
    return any(each.startswith(f"{name}.") for each in secrets.invented)
