"""What Relevo leaves on a host around an instance: logs, programs, the folders of all instances.

A name that a host says becomes no path before it is held against the one form that is ours.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks.shell import Shell
from tasks.host import files, managed_block
from tasks.host.files import STATE
from tasks.host.job import LOGS
from tasks.install.programs import GUARDS, LIBRARY

RUN = PurePosixPath("/run/relevo")
PROGRAMS = (
    "archive.pyz", "bringback.pyz", "divergence", "door", "filestore.pyz", "fresh-start", "guard",
    "right", "synchronous",
)  # fmt: skip
AROUND = (
    GUARDS, PurePosixPath("/etc/relevo/synchronous"), GUARDS.parent, STATE, LIBRARY, LOGS,
)  # fmt: skip
# Takes nothing but empty folders.
EMPTY = """
for folder; do
    if [ -d "$folder" ]; then rmdir --ignore-fail-on-non-empty "$folder"; fi
done
"""


def others(shell: Shell, name: str) -> list[str]:
    """Name the other instances that a host has, in whichever role, as its own folders say."""
    folders = [STATE, GUARDS]
    there = set(map(str, folders)) - set(files.missing(shell, *folders))
    if not there:
        return []
    argv = (
        "find", *sorted(there), "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf",
        r"%f\n",
    )  # fmt: skip
    found = set(shell.run(argv).stdout.splitlines()) - {name}
    return sorted(each for each in found if not each.startswith("."))  # what is of no instance


def forget_logs(shell: Shell, folder: PurePosixPath, pattern: str) -> None:
    """Delete the logs in a folder of root's whose whole name fits a pattern."""
    if not files.exists(shell, folder):
        return
    argv = ("find", str(folder), "-maxdepth", "1", "-type", "f", "-printf", r"%f\0")
    names = [each for each in shell.run(argv).stdout.split("\0") if re.fullmatch(pattern, each)]
    if names:
        # Others may write beside them (Debian's folder is postgres' too): of a link the name goes.
        shell.run(("rm", "-f", "--", *(str(folder / name) for name in names)))


def forget_admission(shell: Shell, user: str, name: str) -> None:
    """Take a block of ours out of the keys that may log in as a user."""
    path = files.home(shell, user) / ".ssh" / "authorized_keys"
    if files.exists(shell, path):
        files.edit(
            shell, path, lambda text: managed_block.without(text, name=name),
            owner=files.owner(shell, user), mode="600",
        )  # fmt: skip


def leave(shell: Shell, name: str) -> None:
    """Take the programs away with the last instance of a host, and folders that are empty now."""
    if not others(shell, name):
        files.remove(shell, *(LIBRARY / each for each in PROGRAMS))
    forget_empty(shell, AROUND)


def forget_empty(shell: Shell, folders: Sequence[PurePosixPath]) -> None:
    """Take folders of root's away that hold nothing."""
    shell.run(("sh", "-c", EMPTY, "empty", *map(str, folders)))
