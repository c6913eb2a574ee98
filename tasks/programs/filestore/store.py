"""The files here, and the trash. Nothing that is here and right is ever written again."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable, Iterator  # Python 3.8

from .disk import inode, move, sha1_of, sha1s_of, sync_disk
from .names import DIGEST, FOLDER, Key, is_database
from .trouble import Full

READERS = 2  # more of them wait for each other (for the interpreter), and read less
KEPT_BYTES, KEPT_SHARE = 1 << 30, 0.05  # of the disk, what is left free in any case
ASKED_EVERY = 8 << 20  # bytes between two looks at how much of the disk is free
TURN = 32  # files that a reader asks the disk for before it reads the first


class Store:
    """One filestore, for several threads: what comes in has a landing of its own."""

    def __init__(self, root: str, work: str, trash: str) -> None:
        self.root, self.work, self.trash = root, work, trash
        self.dirty = False
        self.allowance = 0  # bytes that may be written before the disk is asked again
        os.makedirs(root, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove the stages of processes that are no more."""
        stages = os.path.join(self.work, "stage")
        os.makedirs(stages, exist_ok=True)
        for name in os.listdir(stages):
            if not os.path.exists(f"/proc/{name.split('-')[0]}"):
                shutil.rmtree(os.path.join(stages, name), ignore_errors=True)

    def path(self, key: Key) -> str:
        return f"{self.root}/{key.database}/{key.name}"

    def has(self, key: Key, size: int | None) -> bool:
        """Tell whether a file is here: of the right size, or else of the right content."""
        path = self.path(key)
        if not os.access(path, os.F_OK):  # most are not, and an exception costs more than the look
            return False
        try:
            found = os.lstat(path).st_size
        except FileNotFoundError:
            return False
        return found == size or sha1_of(path) == key.digest

    def reopened(self, key: Key) -> bool:
        """Tell whether a file is right after all, once nobody is shut out from it any more."""
        with contextlib.suppress(OSError):  # it is another user's
            os.chmod(self.path(key), 0o644)
        return sha1_of(self.path(key)) == key.digest

    def require_room(self, size: int) -> None:
        """Refuse what would take the last of the disk, on which the clusters work as well."""
        if size <= self.allowance:
            self.allowance -= size
            return
        folders = self.root, self.work
        self.allowance = min(ASKED_EVERY, *(_left_on(each, size) for each in folders))

    def place(self, beside: str, key: Key) -> None:
        """Give a file that the disk has its final name."""
        target = self.path(key)
        self.dirty = True
        try:
            move(beside, target)
        except FileNotFoundError:  # the first file of its folder
            os.makedirs(os.path.dirname(target), exist_ok=True)
            move(beside, target)

    def elsewhere(self, database: str) -> list[str]:
        """Folders here that may hold a file that a database wants: the others', and the trash."""
        folders = [f"{self.root}/{other}" for other in self.databases() if other != database]
        folders += [f"{self.trash}/{day}/filestore/{database}" for day in self.days()]
        return [folder for folder in folders if os.path.isdir(folder)]

    def sums(self, keys: Iterable[Key]) -> Iterator[tuple[Key, str]]:
        """Read files and give their sha1; in the order of the disk, several at a time."""
        found = [key for _, key in sorted((inode(self.path(key)), key) for key in keys)]
        parts = [found[start : start + TURN] for start in range(0, len(found), TURN)]
        with ThreadPoolExecutor(READERS) as pool:
            for part in pool.map(self._sums, parts):
                yield from part

    def _sums(self, keys: list[Key]) -> list[tuple[Key, str]]:
        return list(zip(keys, sha1s_of(self.path(key) for key in keys)))

    def days(self) -> list[str]:
        """The days of the trash, the newest first."""
        try:
            return sorted(os.listdir(self.trash), reverse=True)
        except FileNotFoundError:
            return []

    def sync(self, *, always: bool = False) -> None:
        """Wait until all that was written is on the disk, by other processes too with `always`."""
        if not (self.dirty or always):
            return
        self.dirty = False
        folder = os.open(self.root, os.O_RDONLY)
        try:
            sync_disk(folder)
        finally:
            os.close(folder)

    def databases(self) -> list[str]:
        """Folders of databases that are here."""
        with os.scandir(self.root) as entries:
            return sorted(e.name for e in entries if is_database(e.name) and e.is_dir())

    def folders(self, database: str) -> list[str]:
        """The folders of a database that hold files."""
        try:
            return sorted(f for f in os.listdir(f"{self.root}/{database}") if FOLDER.match(f))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def listed(self, database: str, folder: str) -> set[str]:
        """What a folder holds, whatever it is."""
        try:
            return set(os.listdir(f"{self.root}/{database}/{folder}"))
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def names(self, database: str) -> Iterator[Key]:
        """Every file of a database that is here."""
        for folder in self.folders(database):
            for name in self.listed(database, folder):
                if DIGEST.match(name):
                    yield Key(database, f"{folder}/{name}")

    def discard(self, keys: Iterable[Key], *, kind: str = "filestore") -> int:
        """Move files to the trash of today."""
        day = time.strftime("%Y-%m-%d")
        moved = 0
        for key in keys:
            target = os.path.join(self.trash, day, kind, key.path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                move(self.path(key), target)
                moved += 1
        self.dirty = True
        return moved

    def remove_empty(self, database: str) -> None:
        """Remove the folders of a dropped database that are empty now."""
        for folder, _, _ in os.walk(f"{self.root}/{database}", topdown=False):
            with contextlib.suppress(OSError):  # not empty
                os.rmdir(folder)


def _left_on(folder: str, size: int) -> int:
    """What may still be written to a disk after so many bytes."""
    disk = os.statvfs(folder)
    kept = min(KEPT_BYTES, int(disk.f_blocks * disk.f_frsize * KEPT_SHARE))
    free = disk.f_bavail * disk.f_frsize
    if free - size < kept:
        raise Full(
            f"the disk is full: {folder} has {free >> 20} MB free, of which {kept >> 20} "
            "MB are left to the clusters",
            "make room on the recovery host; the next pass goes on where this one stopped",
        )
    return free - size - kept
