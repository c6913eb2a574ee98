"""What other programs have written for us (units enabled, packages, copies) is on the disk too.

What Relevo writes itself is synced file by file, before it has its name.
"""

from pathlib import PurePosixPath

from blocks.errors import CommandFailed
from blocks.instance import Place
from blocks.shell import Shell
from tasks.run.step import step

SYNC_SECONDS = 900


@step("wait until the disk of {place} has everything")
def sync(place: Place) -> None:
    """Call nothing done that a power cut at the next instant would take back."""
    _sync(place.host.shell())


def copied(shell: Shell, folder: PurePosixPath, *, user: str) -> None:
    """Wait until the disk has what was copied into a user's folder."""
    _sync(shell, "--file-system", str(folder), user=user)


def _sync(shell: Shell, *words: str, user: str = "root") -> None:
    done = shell.run(("sync", *words), user=user, check=False, timeout_seconds=SYNC_SECONDS)
    if done.status != 0:
        raise CommandFailed(
            f"the disk of {shell.host} does not accept what was written: {done.tail}",
            hint=f"read the kernel's log on {shell.host} (journalctl -k), then run this again",
        )
