"""What was kept aside of an instance: data directories, rows and files that nobody else has.

Only looked for, given to root or deleted here; `diverged` and `rejoin` say when something is kept.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.instance import OdooInstance, Place
from tasks.archive import left
from tasks.archive import place as past
from tasks.filestore import key
from tasks.host import files
from tasks.postgres.observe import observe
from tasks.run.step import step
from tasks.standby import diverged

# What a clone, a copy or a drill left that was cut off: it is made anew, and no evidence.
UNFINISHED = (".relevo-new", ".drill", ".look")
PARTIAL = ".partial"
COUNT_SECONDS = 600


@dataclass(frozen=True)
class Kept:
    """Something that is nowhere else, and what is known of it."""

    place: str
    path: str
    what: str

    def __str__(self) -> str:
        """
        >>> str(Kept("uno", "/data.quarantine-1-0-30", "5 rows"))
        '/data.quarantine-1-0-30 on uno: 5 rows'
        """
        return f"{self.path} on {self.place}: {self.what}"


def found(instance: OdooInstance, place: Place) -> list[Kept]:
    """Name what was kept aside on a host; nothing is noted, and nothing changed."""
    shell = place.host.shell()
    kept = [
        Kept(str(place), str(path), diverged.only_there(shell, path))
        for path in paths(place)
        if path.suffix != ".only-here"
    ]
    return [*kept, *(_files if place.kind == "origin" else _past)(instance, place)]


def _past(instance: OdooInstance, place: Place) -> list[Kept]:
    """What a time machine has kept, and where it waits for the next replica of that cluster."""
    if not files.exists(place.host.shell(), past.folder(instance)):
        return []
    return [Kept(str(place), str(left.waiting(instance)), "the past that its time machine has")]


def _files(instance: OdooInstance, place: Place) -> list[Kept]:
    """Count the files that only the origin had, and that a failback has put beside the others."""
    shell, folder = place.host.shell(), key.file_quarantine(instance)
    if not files.exists(shell, folder):
        return []
    argv = ("find", str(folder), "-type", "f", "-printf", ".")
    output = shell.run(argv, user=place.odoo.user, timeout_seconds=COUNT_SECONDS).stdout
    return [Kept(str(place), str(folder), f"{len(output)} files")] if output else []


def paths(place: Place) -> list[PurePosixPath]:
    """The data directories that were kept aside, and the exports of what only they have."""
    found = _beside(place, r"\.quarantine-[A-Za-z0-9_.-]+")
    return [path for path in found if path.suffix != PARTIAL]


def size(place: Place) -> tuple[int, int]:
    """Count the data directories that were kept aside, and the bytes that they take."""
    folders = [str(path) for path in paths(place) if path.suffix != ".only-here"]
    if not folders:
        return 0, 0
    argv = ("du", "--summarize", "--total", "--block-size=1", "--", *folders)
    shell, owner = place.host.shell(), place.cluster.owner
    # One that is deleted meanwhile costs a word of du, and not the sum.
    output = shell.run(argv, user=owner, timeout_seconds=COUNT_SECONDS, check=False).stdout
    with understood(f"what du says of {place}"):
        return len(folders), int(output.splitlines()[-1].split()[0])


def unfinished(place: Place) -> list[PurePosixPath]:
    """What was never whole, and is no evidence of anything."""
    suffixes = "|".join(map(re.escape, UNFINISHED))
    return _beside(place, rf"({suffixes}|\.quarantine-[A-Za-z0-9_.-]+{re.escape(PARTIAL)})")


def _beside(place: Place, suffix: str) -> list[PurePosixPath]:
    """Folders beside the data directory whose names are ours, asked as the cluster's owner."""
    shell, directory = place.host.shell(), observe(place).directory
    argv = (
        "find", str(directory.parent), "-maxdepth", "1", "-name", f"{directory.name}.*", "-print0",
    )  # fmt: skip
    ours = re.compile(re.escape(str(directory)) + suffix)
    # A name with a line feed would be read as two, and the second could be any path.
    output = shell.run(argv, user=place.cluster.owner).stdout
    return [PurePosixPath(path) for path in sorted(output.split("\0")) if ours.fullmatch(path)]


@step("delete what was kept aside on {place}")
def delete(instance: OdooInstance, place: Place) -> None:
    """Delete what nobody else has; only after somebody has asked for that by its own option."""
    shell = place.host.shell()
    for path in paths(place):
        files.remove_tree(shell, path)
    if place.kind == "origin":
        files.remove_tree(shell, key.file_quarantine(instance))


@step("delete what was never finished on {place}")
def sweep(place: Place) -> None:
    """Delete clones, copies and drills that were cut off."""
    for path in unfinished(place):
        files.remove_tree(place.host.shell(), path)
