"""Files on the disk: what they hold, their names, and what a power cut leaves of both."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import io
import os
import shutil
import threading
from typing import Iterable  # Python 3.8

from ..durable import sync

BUFFER = 1 << 20
PART = ".relevo-part"
BUFFERS = threading.local()


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


def _sha1(file: io.FileIO) -> str:
    digest, view = hashlib.sha1(), buffer()  # noqa: S324  # Odoo's own choice
    try:
        with file:
            while got := file.readinto(view):
                digest.update(view[:got])
    except OSError:
        return ""
    return digest.hexdigest()


def buffer() -> memoryview:
    """This thread's own."""
    if not hasattr(BUFFERS, "view"):
        BUFFERS.view = memoryview(bytearray(BUFFER))
    view: memoryview = BUFFERS.view
    return view


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
    sync(beside)
    if sha1_of(beside) != sha1_of(path):
        unlink(beside)
        raise OSError(errno.EIO, "the copy on the other file system is not what was read", target)
    os.rename(beside, target)
    sync(os.path.dirname(target))


def inode(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0


def unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
