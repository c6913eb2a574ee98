"""Whether a host can still be written to where a move writes: a disk may have gone read-only."""

from collections.abc import Callable
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host.files import STATE
from tasks.install.programs import UNITS
from tasks.serving import site_files

# Arguments: folders of root's.
WRITE = """
for folder do
    made=$(mktemp "$folder/.relevo-XXXXXX") || exit 1
    printf %04096d 0 >"$made" && rm -f "$made" || { rm -f "$made"; exit 1; }
done
"""


def judge(place_of: Callable[[OdooInstance], Place]) -> Callable[[OdooInstance], str]:
    def ask(instance: OdooInstance) -> str:
        place = place_of(instance)
        folders = wanted(instance, place)
        argv = ("sh", "-c", WRITE, "write", *map(str, folders))
        done = place.host.shell().run(argv, check=False)
        if done.status != 0:
            raise Refused(f"{place} cannot be written to: {done.tail}")
        return f"{len(folders)} folders take files"

    return ask


def wanted(instance: OdooInstance, place: Place) -> list[PurePosixPath]:
    """The folders of root's in which a move changes something."""
    found = [UNITS, STATE / instance.name]
    if place.kind == "recovery" and instance.domains:
        found.append(site_files.folder(instance))
    return found
