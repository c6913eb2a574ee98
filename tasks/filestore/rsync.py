"""Command lines of rsync."""

from collections.abc import Sequence
from pathlib import PurePosixPath

Argv = tuple[str, ...]
TIMEOUT_SECONDS = 15
# Without a slash at the end, with which a link to a folder would not be meant.
NO_FILESTORE, NO_SESSIONS = "--exclude=/filestore", "--exclude=/sessions"


def copy(source: str, target: str, *, options: Sequence[str] = ()) -> Argv:
    """Copy a tree.

    >>> " ".join(copy("vps_1:/srv/data/", "/r/data/", options=("--ignore-existing",)))
    'rsync -a --timeout=15 --ignore-existing vps_1:/srv/data/ /r/data/'
    """
    return (
        "rsync", "-a", f"--timeout={TIMEOUT_SECONDS}", *options, source, target,
    )  # fmt: skip


def keep(aside: PurePosixPath) -> Argv:
    """Options with which a copy keeps what it overwrites: what has changed may be spoiled.

    >>> keep(PurePosixPath("/trash/2026-01-01/sources-101500"))
    ('--backup', '--backup-dir=/trash/2026-01-01/sources-101500')
    """
    return ("--backup", f"--backup-dir={aside}")


def give_back(source: str, target: str, *, quarantine: PurePosixPath) -> Argv:
    """Make a data directory as another is, all but the filestore; keep what only it had."""
    return (
        "rsync", "-rlptgoD", "--no-owner", "--no-group", "--outbuf=L", "--out-format=%n",
        f"--timeout={TIMEOUT_SECONDS}", NO_FILESTORE, "--delete", "--backup",
        f"--backup-dir={quarantine}", source, target,
    )  # fmt: skip


def deletions(
    source: str, target: str, *, trash: PurePosixPath, options: Sequence[str] = (), dry: bool
) -> Argv:
    """Move to the trash what the source no longer has; `dry` only names it."""
    return (
        "rsync", "-a", "--delete", "--existing", "--ignore-existing", "--backup",
        f"--backup-dir={trash}", f"--timeout={TIMEOUT_SECONDS}", "--stats", "--no-human-readable",
        *(("--dry-run",) if dry else ()), *options, source, target,
    )  # fmt: skip
