"""Files: read and written whole."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from .rights import Owner, Refusal
from .way import Spot, find, sync

MOST_BYTES = 8 << 20
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def content(spot: Spot, most: int) -> bytes | None:
    """The bytes of a regular file; none if there is no file."""
    if spot.facts is None:
        return None
    require_regular(spot.facts)
    with open(os.open(spot.name, FILE, dir_fd=spot.folder), "rb") as file:
        require_regular(os.fstat(file.fileno()))
        text = file.read(most + 1)
    if len(text) > most:
        raise Refusal(f"it has more than {most} bytes", "see why it has grown, and shorten it")
    return text


def require_regular(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise Refusal("it is not a regular file", "see what is there (ls -l), and move it away")


def write(spot: Spot, text: bytes, owner: Owner, mode: int, former: str) -> str:
    """Put a file in its place, whole and on disk before it has its name."""
    facts = spot.facts = find(spot)
    old = present(spot, len(text), former)
    if former and former != sha256(old or b""):
        return "stale"
    if facts and old == text and owner.has(facts) and stat.S_IMODE(facts.st_mode) == mode:
        sync(spot.folder)
        return "same"
    beside = f"{spot.name}.{os.urandom(4).hex()}"
    try:
        with open(os.open(beside, NEW, 0o600, dir_fd=spot.folder), "wb") as file:
            file.write(text)
            file.flush()
            give(file.fileno(), owner, mode)
            os.fsync(file.fileno())
        os.rename(beside, spot.name, src_dir_fd=spot.folder, dst_dir_fd=spot.folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=spot.folder)
        raise
    sync(spot.folder)
    return "installed"


def present(spot: Spot, size: int, former: str) -> bytes | None:
    """What a file has now; none where that cannot be what it is to have."""
    if not former and (spot.facts is None or spot.facts.st_size != size):
        return None
    with suppress(PermissionError, *(() if former else (Refusal,))):
        return content(spot, max(size, MOST_BYTES))
    return None


def sha256(text: bytes) -> str:
    import hashlib  # noqa: PLC0415  # it takes longer than all the rest, and is seldom needed

    return hashlib.sha256(text).hexdigest()


def give(opened: int, owner: Owner, mode: int) -> None:
    """Set owner, group and mode of what is open, where they are others."""
    facts = os.fstat(opened)
    if not owner.has(facts):
        os.fchown(opened, -1 if facts.st_uid == owner.uid else owner.uid, owner.gid)
    os.fchmod(opened, mode)
