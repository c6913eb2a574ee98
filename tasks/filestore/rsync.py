"""Command lines of rsync, and what it says: how many files there are, which it could not copy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

Argv = tuple[str, ...]
TIMEOUT_SECONDS = 15
# Without a slash at the end, with which a link to a folder would not be meant.
NO_FILESTORE, NO_SESSIONS = "--exclude=/filestore", "--exclude=/sessions"
# Root's own, at the top of a disk that is mounted there: nobody else may read or delete it.
NO_LOST_AND_FOUND = "--exclude=/lost+found"
# A name is the origin's own, and rsync writes what is no text of it as \#nnn.
UNREADABLE = re.compile(
    r'^rsync: (?:\[sender\] )?(?:send_files failed to open|opendir|readlink_stat)[ (]"(?P<name>.*)"'
    r"\)?(?: failed)?: (?P<why>.*)$",
    re.MULTILINE,
)
SPECIAL = re.compile(r'^skipping non-regular file "(.*)"$', re.MULTILINE)
PARTIAL = "(code 23)"


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

    A folder that is a link or a file now is kept as well; without `--force` rsync leaves it there.

    >>> keep(PurePosixPath("/trash/2026-01-01/sources-101500"))
    ('--force', '--backup', '--backup-dir=/trash/2026-01-01/sources-101500')
    """
    return ("--force", "--backup", f"--backup-dir={aside}")


def give_back(
    source: str, target: str, *, quarantine: PurePosixPath, options: Sequence[str] = ()
) -> Argv:
    """Make a data directory as another is, all but the filestore; keep what only it had."""
    return (
        "rsync", "-rlptgoD", "--no-owner", "--no-group", "--outbuf=L", "--out-format=%n",
        f"--timeout={TIMEOUT_SECONDS}", NO_FILESTORE, NO_LOST_AND_FOUND, *options, "--delete",
        "--backup", f"--backup-dir={quarantine}", source, target,
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


def count(stats: str, what: str) -> int:
    r"""
    >>> count("Number of files: 1,204 (reg: 1,000)\nNumber of deleted files: 3", "deleted files")
    3
    >>> count("Number of files: 1,204 (reg: 1,000, dir: 204)\n", "files")
    1204
    """
    found = re.search(rf"^Number of {what}: ([\d,.]+)", stats, re.MULTILINE)
    return int(re.sub(r"[,.]", "", found[1])) if found else 0


@dataclass(frozen=True)
class LeftOut:
    """What a copy has not brought: what the origin may not read, and what is no file at all."""

    unreadable: tuple[str, ...]
    special: tuple[str, ...]


def left_out(output: str) -> LeftOut:
    r"""
    >>> left_out('skipping non-regular file "a/dev"\n').special
    ('a/dev',)
    >>> left_out('rsync: [sender] send_files failed to open "/o/x": No entry (13)').unreadable
    ('/o/x: No entry (13)',)
    >>> left_out('rsync: [sender] opendir "/o/y" failed: Permission denied (13)').unreadable
    ('/o/y: Permission denied (13)',)
    """
    unreadable = (f"{each['name']}: {each['why']}" for each in UNREADABLE.finditer(output))
    return LeftOut(tuple(unreadable), tuple(SPECIAL.findall(output)))


def is_partial(output: str) -> bool:
    """Tell whether rsync has ended with its 23: some of it was copied, and some could not be."""
    return PARTIAL in output
