"""Whether a host can still be written to where a move writes: a disk may be full, or read-only."""

from collections.abc import Callable
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance, Place
from tasks.host.files import STATE
from tasks.install.programs import UNITS
from tasks.postgres.observe import observe
from tasks.readiness import aside
from tasks.run import moments
from tasks.serving import site_files

LEAST_FREE = 0.1
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


def disk(place_of: Callable[[OdooInstance], Place]) -> Callable[[OdooInstance], str]:
    """Require room on each disk, and for one more clone beside what was kept aside before."""

    def ask(instance: OdooInstance) -> str:
        place = place_of(instance)
        data = observe(place).directory
        free, size = (disks := _disks(place, data, data / "pg_wal", place.odoo.data_dir))[data]
        if free < LEAST_FREE * size:
            raise RelevoError(f"{place} has only {moments.size(free)} free for PostgreSQL")
        for path, (there, whole) in disks.items():
            if there < LEAST_FREE * whole:
                raise RelevoError(
                    f"{place} has only {moments.size(there)} free on the disk of {path}"
                )
        folders, taken = aside.size(place)
        noun = "directory" if folders == 1 else "directories"
        kept = f"{folders} data {noun} kept aside on {place}, {moments.size(taken)}"
        if taken > free:
            raise RelevoError(
                f"{kept}, and only {moments.size(free)} are free: a clone may not fit",
                hint=f"read summary.json beside each *.quarantine-* on {place}, and delete those "
                "that nobody needs",
            )
        return f"{moments.size(free)} free" + (f"; {kept}" if folders else "")

    return ask


def _disks(place: Place, *paths: PurePosixPath) -> dict[PurePosixPath, tuple[int, int]]:
    """What is free, and how much there is, on the disk of each path that is there."""
    argv = ("df", "--output=avail,size,file", "-B1", *map(str, paths))
    done = place.host.shell().run(argv, check=False)  # 1 where one of them is not there
    with understood(f"what df says of {place}"):
        found = [line.split(maxsplit=2) for line in done.stdout.splitlines()[1:]]
        disks = {PurePosixPath(file): (int(free), int(size)) for free, size, file in found}
        return {path: disks[path] for path in paths if path in disks or path == paths[0]}
