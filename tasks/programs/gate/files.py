"""The files of one filestore, read and written by name."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
import zlib
from typing import Iterator, List  # Python 3.8

from .disk import FOLDER, below, move, sha1_of, store, sync
from .door import Door
from .names import DATABASE, parts

STAGE = ".relevo-incoming"
FOLDERS_OPEN = 300
NAMES = 5_000_000  # of a list
KEPT_BYTES, KEPT_SHARE = 1 << 30, 0.05  # of the disk, what is left free in any case
TOGETHER, TOGETHER_BYTES = 256, 64 << 20  # files that get their names at once


class Files:
    """The files of one filestore, found by name and never through a link."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.folders: dict[str, int] = {}
        self.incoming: list[tuple[str, str]] = []
        self.size = 0
        self.root = os.open(os.path.realpath(door.filestore), os.O_RDONLY | os.O_DIRECTORY)

    def renew(self) -> None:
        """Go to what has the filestore's name now: it may have been mounted or moved."""
        path = os.path.realpath(self.door.filestore)
        if not os.path.samestat(os.stat(path), os.fstat(self.root)):
            root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            self.close()
            os.close(self.root)
            self.root = root

    def folder(self, database: str, shard: str) -> int:
        """Open a folder without following a link; it is kept open for the next file."""
        key = f"{database}/{shard}"
        if key not in self.folders:
            if len(self.folders) >= FOLDERS_OPEN:
                self.close()
            upper = os.open(database, FOLDER, dir_fd=self.root)
            try:
                self.folders[key] = os.open(shard, FOLDER, dir_fd=upper)
            finally:
                os.close(upper)
        return self.folders[key]

    def close(self) -> None:
        while self.folders:
            os.close(self.folders.popitem()[1])

    def open(self, name: str) -> int:
        """Open one file of the filestore."""
        database, shard, digest = parts(name)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(digest, flags, dir_fd=self.folder(database, shard))
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise PermissionError("it is not a regular file")
        return file

    def sum(self, name: str) -> str:
        """Say the sha1 of a file's content."""
        return sha1_of(self.open(name))

    def sum_or_none(self, name: str) -> str | None:
        try:
            return self.sum(name)
        except FileNotFoundError:
            return None

    def list(self, database: str) -> bytes:
        """Name every file of a database with its size."""
        if not DATABASE.match(database):
            raise PermissionError("it is not the name of a database")
        self.renew()
        packer, packed, names = zlib.compressobj(1), bytearray(), 0
        top = os.open(database, FOLDER, dir_fd=self.root)
        try:
            for shard in sorted(os.listdir(top)):
                if re.match(r"^[0-9a-f]{2,3}\Z", shard):
                    lines = self._sizes(top, shard)
                    names += len(lines)
                    if names > NAMES:
                        raise PermissionError(f"it has more than {NAMES} files")
                    packed += packer.compress("".join(lines).encode())
        finally:
            os.close(top)
        return bytes(packed) + packer.flush()

    @staticmethod
    def _sizes(top: int, shard: str) -> List[str]:
        """Name the files of one folder with their sizes; a link is no folder."""
        try:
            folder = os.open(shard, FOLDER, dir_fd=top)
        except NotADirectoryError:
            return []
        try:
            with os.scandir(folder) as entries:
                return [
                    f"{shard}/{entry.name} {entry.stat(follow_symlinks=False).st_size}\n"
                    for entry in entries
                    if re.match(r"^[0-9a-f]{40}\Z", entry.name)
                    and entry.is_file(follow_symlinks=False)
                ]
        finally:
            os.close(folder)

    def put(self, name: str, size: int, content: Iterator[bytes]) -> None:
        """Take a file whose content is what its name says; a good one that is there stays.

        It gets its name with others. One that is not good makes room for it.
        """
        self.require_write()
        self.renew()
        self.require_room(size)
        database, shard, sha1 = parts(name)
        beside, stage = f"{os.getpid()}-{len(self.incoming)}", self.stage()
        wanted = False
        try:
            if store(beside, stage, content) != sha1:
                raise PermissionError("its content is not what its name says")
            os.close(below(self.root, database, shard))
            there = self.sum_or_none(name)
            if there not in {sha1, None}:
                self.keep(name)
            wanted = there != sha1
        finally:
            if not wanted:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(beside, dir_fd=stage)
            os.close(stage)
        if wanted:
            self.incoming.append((beside, name))
            self.size += size
        if len(self.incoming) >= TOGETHER or self.size >= TOGETHER_BYTES:
            self.settle()

    def stage(self) -> int:
        """Open the folder of what comes in; what a process left there that is no more goes."""
        stage = below(self.root, STAGE, mode=0o700)
        if not self.incoming:
            for name in os.listdir(stage):
                if not os.path.exists("/proc/" + name.partition("-")[0]):
                    os.unlink(name, dir_fd=stage)
        return stage

    def settle(self) -> None:
        """Have the disk take what has come, then name it: a power cut may keep names alone."""
        incoming, self.incoming, self.size = self.incoming, [], 0
        if not incoming:
            return
        self.require_write()
        stage = below(self.root, STAGE, mode=0o700)
        try:
            sync(stage, [beside for beside, _ in incoming])
            for beside, name in incoming:
                database, shard, sha1 = parts(name)
                move(beside, stage, sha1, self.folder(database, shard))
        finally:
            for beside, _ in incoming:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(beside, dir_fd=stage)
            os.close(stage)

    def aside(self, name: str) -> None:
        """Move a file to the quarantine; a repair has no business with one that is right."""
        self.require_write()
        self.renew()
        if self.door.purpose() != "failback" and self.sum(name) == parts(name)[2]:
            raise PermissionError("it is what its name says, and a repair leaves such files alone")
        self.keep(name)

    def keep(self, name: str) -> None:
        """Move a file to the quarantine; nothing is deleted here."""
        database, shard, sha1 = parts(name)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        os.makedirs(self.door.quarantine, mode=0o700, exist_ok=True)
        top = os.open(self.door.quarantine, FOLDER)
        try:
            folder = below(top, day, "filestore", database, shard)
        finally:
            os.close(top)
        try:
            move(sha1, self.folder(database, shard), sha1, folder)
        finally:
            os.close(folder)

    def require_write(self) -> None:
        if why := self.door.objection(("repair", "failback")):
            raise PermissionError(why)

    def require_room(self, size: int) -> None:
        """Refuse what would take the last of the disk on which this server works."""
        disk = os.fstatvfs(self.root)
        kept = min(KEPT_BYTES, int(disk.f_blocks * disk.f_frsize * KEPT_SHARE))
        free = disk.f_bavail * disk.f_frsize
        if free - size < kept:
            raise PermissionError(f"the disk has {free >> 20} MB free, and {kept >> 20} MB stay so")
