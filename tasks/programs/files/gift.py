"""Owners changed: a folder becomes root's, a tree another user's; each name by its descriptor."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from .descent import descend, said
from .way import FOLDER, HELD, Spot, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .rights import Owner

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def take(spot: Spot, owner: Owner, mode: int) -> None:
    """Make a folder root's, be it there already or not."""
    if spot.facts is None:
        with suppress(FileExistsError):
            os.mkdir(spot.name, 0o700, dir_fd=spot.folder)
    opened = os.open(spot.name, FOLDER, dir_fd=spot.folder)
    try:
        os.fchown(opened, owner.uid, owner.gid)
        os.fchmod(opened, mode)
        os.fsync(opened)
    finally:
        os.close(opened)
    sync(spot.folder)


class Linked:
    """A file that has several names: how many were found, and one of them in each tree."""

    def __init__(self) -> None:
        self.count = 0
        self.names: dict[int, str] = {}


class Gift:
    """Trees that go together from one user to another; what is not the former one's stays.

    Nothing is given where there is no new owner: then it is only looked at.
    """

    def __init__(self, former: Owner, owner: Owner | None) -> None:
        self.former, self.owner = former, owner
        self.linked: dict[tuple[int, int], Linked] = {}
        self.trees = 0

    def give_tree(self, spot: Spot) -> None:
        """Give what has this name, and all that is below it."""
        if self._is_folder(spot.folder, spot.name, []):
            descend(spot.folder, spot.name, self._folder)

    def left(self) -> list[tuple[int, str]]:
        """Count in each tree the files that have names outside of all; name one of them."""
        named = [
            sorted(each.names[tree] for each in self.linked.values() if tree in each.names)
            for tree in range(self.trees)
        ]
        return [(len(names), names[0] if names else "") for names in named]

    def _folder(self, opened: int, names: list[str]) -> list[str]:
        if os.fstat(opened).st_uid == self.former.uid:
            self._own(opened)
        below = []
        for each in os.listdir(opened):
            with suppress(FileNotFoundError):
                if self._is_folder(opened, each, names):
                    below.append(each)
        return below

    def _is_folder(self, folder: int, name: str, names: list[str]) -> bool:
        """Give what is no folder."""
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(facts.st_mode):
            self._file(folder, name, names)
        elif facts.st_uid == self.former.uid and not stat.S_ISDIR(facts.st_mode):
            self._link(folder, name)
        return stat.S_ISDIR(facts.st_mode)

    def _link(self, folder: int, name: str) -> None:
        """Give a link, a pipe or a socket itself; root gets none, for it would follow its own."""
        if self.owner is None or self.owner.uid == 0:
            return
        held = os.open(name, HELD, dir_fd=folder)
        try:
            if os.fstat(held).st_uid == self.former.uid:
                os.chown(f"/proc/self/fd/{held}", self.owner.uid, self.owner.gid)
        finally:
            os.close(held)

    def _file(self, folder: int, name: str, names: list[str]) -> None:
        """Give a file; one that has names elsewhere too may be somebody else's, and is left."""
        opened = os.open(name, FILE, dir_fd=folder)
        try:
            facts = os.fstat(opened)
            if facts.st_uid == self.former.uid and self._is_whole(facts, name, names):
                self._own(opened)
        finally:
            os.close(opened)

    def _is_whole(self, facts: os.stat_result, name: str, names: list[str]) -> bool:
        """Tell whether all names of a file have been found by now."""
        if facts.st_nlink == 1:
            return True
        file = self.linked.setdefault((facts.st_dev, facts.st_ino), Linked())
        file.count += 1
        file.names.setdefault(self.trees, said([*names, name]))
        if file.count < facts.st_nlink:
            return False
        del self.linked[facts.st_dev, facts.st_ino]
        return True

    def _own(self, opened: int) -> None:
        if self.owner is not None:
            os.fchown(opened, self.owner.uid, self.owner.gid)
