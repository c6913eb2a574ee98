"""Where the past of an instance is kept on the recovery host: pure."""

from pathlib import PurePosixPath

from blocks.instance import OdooInstance
from tasks.host.files import STATE


def folder(instance: OdooInstance) -> PurePosixPath:
    """A folder of the cluster's user, who alone may enter it."""
    return STATE / instance.name / "archive"


def seen_path(instance: OdooInstance) -> PurePosixPath:
    """The file in which the program writes down the mass changes that it has seen."""
    return folder(instance) / "mass.json"
