"""Owners changed: a folder becomes root's, a tree another user's; each name by its descriptor."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from .rights import Owner
from .way import FOLDER, HELD, Spot, sync

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


class Gift:
    """A tree that goes from one user to another; what is not the former one's stays as it is."""

    def __init__(self, former: Owner, owner: Owner) -> None:
        self.former, self.owner = former, owner
        self.linked: dict[tuple[int, int], list[str]] = {}

    def give(self, folder: int, name: str, where: str) -> None:
        """Give what has this name, and all that is below it."""
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            self._folder(folder, name, where)
        elif stat.S_ISREG(facts.st_mode):
            self._file(folder, name, where)
        elif facts.st_uid == self.former.uid and self.owner.uid != 0:
            self._link(folder, name)

    def _folder(self, folder: int, name: str, where: str) -> None:
        opened = os.open(name, FOLDER, dir_fd=folder)
        try:
            for each in os.listdir(opened):
                with suppress(FileNotFoundError):
                    self.give(opened, each, f"{where}/{each}")
            if os.fstat(opened).st_uid == self.former.uid:
                os.fchown(opened, self.owner.uid, self.owner.gid)
        finally:
            os.close(opened)

    def _link(self, folder: int, name: str) -> None:
        """Give a link, a pipe or a socket itself; root gets none, for it would follow its own."""
        held = os.open(name, HELD, dir_fd=folder)
        try:
            if os.fstat(held).st_uid == self.former.uid:
                os.chown(f"/proc/self/fd/{held}", self.owner.uid, self.owner.gid)
        finally:
            os.close(held)

    def _file(self, folder: int, name: str, where: str) -> None:
        """Give a file; one that has names elsewhere too may be somebody else's, and is left."""
        opened = os.open(name, FILE, dir_fd=folder)
        try:
            facts = os.fstat(opened)
            if facts.st_uid != self.former.uid:
                return
            inode = facts.st_dev, facts.st_ino
            names = self.linked.setdefault(inode, []) if facts.st_nlink > 1 else []
            names.append(where)
            if len(names) >= facts.st_nlink:
                self.linked.pop(inode, None)
                os.fchown(opened, self.owner.uid, self.owner.gid)
        finally:
            os.close(opened)


def give_tree(spot: Spot, former: Owner, owner: Owner) -> list[str]:
    """Give a tree away; name the files that were left, for they have names outside of it."""
    gift = Gift(former, owner)
    gift.give(spot.folder, spot.name, spot.name)
    return sorted(name for names in gift.linked.values() for name in names)
