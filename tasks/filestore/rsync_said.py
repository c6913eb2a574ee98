"""What rsync says: how many files there are, and which it could not copy."""

import re
from dataclasses import dataclass

# A name is the origin's own, and rsync writes what is no text of it as \#nnn.
UNREADABLE = re.compile(
    r'^rsync: (?:\[sender\] )?(?:send_files failed to open|opendir|readlink_stat)[ (]"(?P<name>.*)"'
    r"\)?(?: failed)?: (?P<why>.*)$",
    re.MULTILINE,
)
SPECIAL = re.compile(r'^skipping non-regular file "(.*)"$', re.MULTILINE)
PARTIAL = "(code 23)"


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


def left_out(said: str) -> LeftOut:
    r"""
    >>> left_out('skipping non-regular file "a/dev"\n').special
    ('a/dev',)
    >>> left_out('rsync: [sender] send_files failed to open "/o/x": No entry (13)').unreadable
    ('/o/x: No entry (13)',)
    >>> left_out('rsync: [sender] opendir "/o/y" failed: Permission denied (13)').unreadable
    ('/o/y: Permission denied (13)',)
    """
    unreadable = (f"{each['name']}: {each['why']}" for each in UNREADABLE.finditer(said))
    return LeftOut(tuple(unreadable), tuple(SPECIAL.findall(said)))


def is_partial(said: str) -> bool:
    """Tell whether rsync has ended with its 23: some of it was copied, and some could not be."""
    return PARTIAL in said
