"""Files in open folders: what is written, synced and moved there goes through no link."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import Iterator, Sequence  # Python 3.8

CHUNK = 1 << 20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PART = ".relevo-part"
FEW = 8  # files whose syncs, one by one, cost less than that of the whole file system


def below(folder: int, *names: str, mode: int = 0o777) -> int:
    """Open a folder below an open one, made where there is none; a link is no folder."""
    opened = os.dup(folder)
    for name in names:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=opened)
        try:
            inner = os.open(name, FOLDER, dir_fd=opened)
        finally:
            os.close(opened)
        opened = inner
    return opened


def sync(folder: int, names: Sequence[str]) -> None:
    """Wait until the disk has these files of an open folder."""
    if len(names) > FEW:
        import ctypes  # noqa: PLC0415  # most that come here only read

        if ctypes.CDLL(None, use_errno=True).syncfs(folder) != 0:
            raise OSError(ctypes.get_errno(), "the disk does not take what was written")
        return
    for name in names:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def store(name: str, folder: int, content: Iterator[bytes]) -> str:
    """Write a new file; say the sha1 of what it holds."""
    digest = hashlib.sha1()  # noqa: S324  # Odoo's own choice
    with contextlib.suppress(FileNotFoundError):  # of a process that died
        os.unlink(name, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(name, flags, 0o666, dir_fd=folder), "wb") as file:
        for part in content:
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def move(name: str, source: int, wanted: str, target: int) -> None:
    """Move a file from one open folder to another, which may lie on another file system."""
    try:
        os.rename(name, wanted, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(name, source, wanted, target)
        os.unlink(name, dir_fd=source)


def copy(name: str, source: int, wanted: str, target: int) -> None:
    """Copy a file under a name beside, and give it its own when the disk has it and it is right."""
    beside, digest = wanted + PART, hashlib.sha1()  # noqa: S324
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
    with open(reading, "rb", buffering=0) as content:
        if not stat.S_ISREG(os.fstat(reading).st_mode):
            raise PermissionError("it is not a regular file")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(beside, flags, 0o600, dir_fd=target), "wb") as file:
            while part := content.read(CHUNK):
                digest.update(part)
                file.write(part)
            file.flush()
            like(reading, file.fileno())
            os.fsync(file.fileno())
    if sha1_of(os.open(beside, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=target)) != digest.hexdigest():
        raise PermissionError("its copy on the other file system is not what was read")
    os.rename(beside, wanted, src_dir_fd=target, dst_dir_fd=target)
    os.fsync(target)


def like(model: int, file: int) -> None:
    """Give an open file the mode and the times of another."""
    known = os.fstat(model)
    os.fchmod(file, stat.S_IMODE(known.st_mode))
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))


def sha1_of(file: int) -> str:
    """Read an open file to its end, close it, and say its sha1."""
    digest = hashlib.sha1()  # noqa: S324  # Odoo's own choice
    with open(file, "rb", buffering=0) as content:
        while part := content.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()
