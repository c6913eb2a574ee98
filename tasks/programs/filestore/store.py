"""The files here: written beside, judged, renamed; and the trash.

Nothing takes its final name before the disk has its content, and that is what the name says: a file
system may keep a name over a power cut and lose what was to be in the file. Nothing that is here
and right is ever written again.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import io
import itertools
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable, Iterator  # Python 3.8

from .names import DIGEST, FOLDER, Key, is_database
from .origin import Answer
from .trouble import Full

BUFFER = 1 << 20
PART = ".relevo-part"
READERS = 2  # more of them wait for each other (for the interpreter), and read less
KEPT_BYTES, KEPT_SHARE = 1 << 30, 0.05  # of the disk, what is left free in any case
TURN = 32  # files that a reader asks the disk for before it reads the first
FEW = 8  # files whose syncs, one by one, cost less than that of the whole file system
BUFFERS = threading.local()
LANDINGS = itertools.count()


def sha1_of(path: str) -> str:
    """Say the sha1 of a file; the empty string when it cannot be read."""
    return sha1s_of([path])[0]


def sha1s_of(paths: Iterable[str]) -> list[str]:
    """Say the sha1 of files, all of which are asked of the disk before the first is read."""
    return [_sha1(file) if file else "" for file in [_ask_for(path) for path in paths]]


def _ask_for(path: str) -> io.FileIO | None:
    try:
        file = io.FileIO(path)
    except OSError:
        return None
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
    return file


def _buffer() -> memoryview:
    """This thread's own."""
    if not hasattr(BUFFERS, "view"):
        BUFFERS.view = memoryview(bytearray(BUFFER))
    view: memoryview = BUFFERS.view
    return view


def _sha1(file: io.FileIO) -> str:
    digest, view = hashlib.sha1(), _buffer()  # noqa: S324  # Odoo's own choice
    try:
        with file:
            while got := file.readinto(view):
                digest.update(view[:got])
    except OSError:
        return ""
    return digest.hexdigest()


class Store:
    """One filestore, for several threads: what comes in has a landing of its own."""

    def __init__(self, root: str, work: str, trash: str) -> None:
        self.root, self.work, self.trash = root, work, trash
        self.dirty = False
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
        try:
            found = os.lstat(self.path(key)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return False
        return found == size or sha1_of(self.path(key)) == key.digest

    def require_room(self, size: int) -> None:
        """Refuse what would take the last of the disk, on which the clusters work as well."""
        for folder in (self.root, self.work):
            disk = os.statvfs(folder)
            kept = min(KEPT_BYTES, int(disk.f_blocks * disk.f_frsize * KEPT_SHARE))
            free = disk.f_bavail * disk.f_frsize
            if free - size < kept:
                raise Full(
                    f"the disk is full: {folder} has {free >> 20} MB free, of which {kept >> 20} "
                    "MB are left to the clusters",
                    "make room on the recovery host; the next pass goes on where this one stopped",
                )

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
        found = [key for _, key in sorted((_inode(self.path(key)), key) for key in keys)]
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


class Landing:
    """Where contents come in, to get their final names together, once the disk has them.

    Of one thread at a time: two writers in one folder are much slower.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = f"{store.work}/stage/{os.getpid()}-{next(LANDINGS)}"
        self.opened = -1
        self.waiting: list[tuple[str, Key]] = []

    def _beside(self) -> str:
        """The next name; its folder is opened before the first file, to hear of failed writes."""
        if self.opened < 0:
            os.mkdir(self.folder)
            self.opened = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"{self.folder}/{len(self.waiting)}"

    def admit(self, key: Key, answer: Answer) -> bool:
        """Write a content that is coming in, and keep it if it is what the name says."""
        beside, digest = self._beside(), hashlib.sha1()  # noqa: S324
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            for part in answer.parts(_buffer()):
                digest.update(part)
                _write(file, part)
        finally:
            os.close(file)
        good = digest.hexdigest() == key.digest
        if good:
            self.waiting.append((beside, key))
        return good

    def reuse(self, key: Key, folders: Iterable[str]) -> bool:
        """Take a file from one of these folders, if its content is right."""
        for folder in folders:
            candidate = f"{folder}/{key.name}"
            if os.path.isfile(candidate) and sha1_of(candidate) == key.digest:
                beside = self._beside()
                _unlink(beside)
                link(candidate, beside)
                self.waiting.append((beside, key))
                return True
        return False

    def settle(self) -> list[Key]:
        """Have the disk take what is here, then name it; say what has its name now."""
        waiting, self.waiting = self.waiting, []
        if self.opened < 0:
            return []
        try:
            if len(waiting) > FEW:
                sync_disk(self.opened)
            else:
                for beside, _ in waiting:
                    _fsync(beside)
            for beside, key in waiting:
                self.store.place(beside, key)
        finally:
            os.close(self.opened)
            self.opened = -1
            shutil.rmtree(self.folder)
        return [key for _, key in waiting]


def sync_disk(folder: int) -> None:
    """Wait until the disk has all of an open folder's file system."""
    if ctypes.CDLL(None, use_errno=True).syncfs(folder) != 0:
        raise OSError(ctypes.get_errno(), "syncfs failed")


def move(path: str, target: str) -> None:
    """Give a file another name, which may lie on another file system."""
    try:
        os.rename(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(path, target)
        os.unlink(path)


def link(path: str, target: str) -> None:
    """Give a file a second name, or a copy where that lies on another file system."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(path, target)


def copy(path: str, target: str) -> None:
    """Copy a file under a name beside, and give it its own when the disk has it and it is right."""
    beside = target + PART
    shutil.copy2(path, beside)
    _fsync(beside)
    if sha1_of(beside) != sha1_of(path):
        _unlink(beside)
        raise OSError(errno.EIO, "the copy on the other file system is not what was read", target)
    os.rename(beside, target)
    _fsync(os.path.dirname(target))


def _fsync(path: str) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _inode(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0


def _write(file: int, part: memoryview) -> None:
    while part:
        part = part[os.write(file, part) :]


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
