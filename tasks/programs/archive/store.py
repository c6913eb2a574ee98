"""The files of the past: segments copied and read again, base backups, and the room for them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from typing import BinaryIO, Iterator  # Python 3.8

from ..durable import sync
from . import names
from .cluster import Where
from .ledger import sign
from .settings import Settings

KEPT_BYTES, KEPT_SHARE = 1 << 30, 0.05  # of the disk, what is left free in any case
PART = ".part"


class Full(Exception):
    """There is no room for more of the past."""


class Gone(Exception):
    """PostgreSQL has taken a file away, or used it again, while it was copied."""


class Store:
    """The folder of one instance: `wal`, `base`, and a ledger beside them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        for folder in (settings.wal, settings.bases):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    def path(self, segment: str) -> str:
        return f"{self.settings.wal}/{segment}"

    def base(self, label: str) -> str:
        return f"{self.settings.bases}/{label}"

    def require_room(self, size: int) -> None:
        """Refuse what would take the last of the disk, on which the clusters work as well."""
        disk = os.statvfs(self.settings.folder)
        kept = min(KEPT_BYTES, int(disk.f_blocks * disk.f_frsize * KEPT_SHARE))
        free = disk.f_bavail * disk.f_frsize
        if free - size < kept:
            raise Full(str(free))

    def bring(self, where: Where, segment: str) -> tuple[str, str]:
        """Copy a finished segment out of the cluster; give its sha256 and its sign.

        What PostgreSQL has used again meanwhile has no name any more by which it was opened, and
        each page of it says where it belongs: so what is kept is the segment, and whole.
        """
        source, target = os.path.join(where.wal, segment), self.path(segment)
        start = names.number(segment, where.segment) * where.segment
        digest, at = hashlib.sha256(), 0
        with _opened(source) as file, open(target + PART, "wb") as copy:
            while page := file.read(where.page):
                if not names.is_page(page, start + at):
                    raise Gone(segment)
                digest.update(page)
                copy.write(page)
                at += len(page)
            if at != where.segment or not _is_still(file.fileno(), source):
                raise Gone(segment)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(target + PART, target)
        sync(self.settings.wal)
        return digest.hexdigest(), sign(target)

    def bring_histories(self, where: Where) -> None:
        """Copy the histories of timelines, which are small and never change."""
        for name in sorted(filter(names.HISTORY.match, os.listdir(where.wal))):
            target = self.path(name)
            if os.path.exists(target):
                continue
            with _opened(os.path.join(where.wal, name)) as file, open(target + PART, "wb") as copy:
                copy.write(file.read(1 << 20))
                copy.flush()
                os.fsync(copy.fileno())
            os.replace(target + PART, target)
            sync(self.settings.wal)

    def line(self, where: Where) -> names.Line:
        """The history of the timeline of now, of which the first has none."""
        if where.timeline == 1:
            return []
        name = f"{where.timeline:08X}.history"
        path = self.path(name) if os.path.exists(self.path(name)) else f"{where.wal}/{name}"
        with _opened(path) as file:
            return names.history(file.read(1 << 20).decode("ascii", "replace"))

    def sha256(self, segment: str) -> str:
        """Read a segment again; the empty string where it cannot be read."""
        digest = hashlib.sha256()
        try:
            with _opened(self.path(segment)) as file:
                while part := file.read(1 << 20):
                    digest.update(part)
        except OSError:
            return ""
        return digest.hexdigest()

    def size_of_wal(self) -> dict[str, int]:
        """What each segment takes."""
        with os.scandir(self.settings.wal) as entries:
            return {e.name: e.stat().st_size for e in entries if names.SEGMENT.match(e.name)}

    def arrivals(self) -> list[tuple[float, int]]:
        """When each segment came in, and what it takes."""
        with os.scandir(self.settings.wal) as entries:
            found = [e.stat() for e in entries if names.SEGMENT.match(e.name)]
        return [(each.st_mtime, each.st_size) for each in found]

    def put_aside(self, segment: str) -> None:
        """Keep what is spoiled under another name, as evidence."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path(segment), self.path(segment) + ".spoiled")

    def remove_segment(self, segment: str) -> None:
        for path in (self.path(segment), self.path(segment) + ".spoiled"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def remove_base(self, label: str) -> None:
        shutil.rmtree(self.base(label), ignore_errors=True)


def signature(folder: str) -> tuple[str, int]:
    """What changes with any change of a file below a folder; and how many bytes they are."""
    digest, size = hashlib.sha256(), 0
    for top, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(top, name)
            found = os.lstat(path)
            size += found.st_size
            facts = f"{os.path.relpath(path, folder)}\0{found.st_size} {found.st_ctime_ns}\n"
            digest.update(facts.encode("utf-8", "surrogateescape"))
    return digest.hexdigest(), size


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Open a regular file that may vanish, and no link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        yield file


def _is_still(descriptor: int, path: str) -> bool:
    """Tell whether a name is still that of the file that was opened by it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
