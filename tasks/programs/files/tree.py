"""Folders: made for an owner, emptied with all that is below them, and given another name."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress

from .content import give
from .descent import descend
from .rights import Owner, Refusal, person, rights_of
from .way import FOLDER, Spot, find, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = 0o700


def make(spot: Spot, who: int, owner: Owner, mode: int) -> None:
    """Make a folder for its owner, or see that the one that is there is that owner's.

    For another than the owner of the folder around, root gives it away by its descriptor: what it
    has just made, or what is empty and nobody can have put there (a disk of its own, for one).
    """
    made, device = False, os.fstat(spot.folder).st_dev
    if os.geteuid() not in {0, owner.uid}:
        raise Refusal(
            f"a link of {person(os.geteuid())} leads there, "
            "and only root can make it for another user"
        )
    if spot.facts is None:
        with rights_of(who if who == owner.uid else 0), suppress(FileExistsError):
            os.mkdir(spot.name, PRIVATE, dir_fd=spot.folder)
            made = True
    opened = os.open(spot.name, FOLDER, dir_fd=spot.folder)
    try:
        facts = os.fstat(opened)
        uid, kept = facts.st_uid, who == 0 or facts.st_dev != device
        made = made and stat.S_IMODE(facts.st_mode) & 0o777 == PRIVATE
        ours = uid == 0 == os.geteuid() and (made or kept)
        if uid != owner.uid and not (ours and not set(os.listdir(opened)) - {"lost+found"}):
            raise Refusal(f"it belongs to {person(uid)} already, and not to {person(owner.uid)}")
        give(opened, owner, mode)
        os.fsync(opened)
    finally:
        os.close(opened)
    sync(spot.folder)


def delete(spot: Spot, who: int) -> None:
    """Delete a name and all that is below it; each folder is emptied by its own owner."""
    with rights_of(who):
        if _unlinked(spot.folder, spot.name):
            sync(spot.folder)
            return
    device = os.fstat(spot.folder).st_dev

    def empty(opened: int, names: list[str]) -> list[str]:
        facts, name = os.fstat(opened), names[-1]
        if facts.st_dev != device:
            raise Refusal(
                f"another file system is mounted on {name}, and all else may be gone by now",
                "unmount it (findmnt shows it), then run this again",
            )
        with rights_of(facts.st_uid):
            if facts.st_mode & stat.S_IRWXU != stat.S_IRWXU:
                os.fchmod(opened, stat.S_IMODE(facts.st_mode) | stat.S_IRWXU)
            return [each for each in os.listdir(opened) if not _unlinked(opened, each)]

    def fell(folder: int, name: str) -> None:
        owner = who if folder == spot.folder else os.fstat(folder).st_uid
        with rights_of(owner), suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=folder)

    descend(spot.folder, spot.name, empty, fell)
    with rights_of(who):
        sync(spot.folder)


def _unlinked(folder: int, name: str) -> bool:
    """Delete what is no folder, and tell whether it is gone."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    except FileNotFoundError:
        pass
    return True


def rename(spot: Spot, to: Spot) -> None:
    """Give something another name, which nothing may have."""
    name(spot, to)
    settle(to, spot)


def exchange(fresh: Spot, here: Spot, aside: Spot) -> None:
    """Put what is fresh in the place of what is here, which gets another name.

    Nothing waits for the disk between the two: a name that nothing has would keep a failover from
    serving. Where the second cannot be given, the first is taken back.
    """
    there = find(here) is not None
    if there:
        name(here, aside)
    try:
        name(fresh, here)
    except BaseException:
        if there:
            name(aside, here)
        raise
    settle(here, aside, fresh)


@contextmanager
def deaf() -> Iterator[None]:
    """End when this is done, and not when somebody asks for it; whoever kills does not ask."""
    import signal  # noqa: PLC0415  # it takes longer than all the rest, and is seldom needed

    ends = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def name(spot: Spot, to: Spot) -> None:
    facts = find(spot)
    if facts is None:
        raise Refusal(f"there is no {spot.name}", "see what is there (ls -l)")
    if find(to) is not None:
        raise Refusal(f"{to.name} is there already", f"see what it is, and move {to.name} away")
    where = {"src_dir_fd": spot.folder, "dst_dir_fd": to.folder}
    if stat.S_ISDIR(facts.st_mode):  # the kernel puts it over no other than an empty folder
        os.rename(spot.name, to.name, **where)
    else:
        os.link(spot.name, to.name, follow_symlinks=False, **where)
        os.unlink(spot.name, dir_fd=spot.folder)


def settle(*spots: Spot) -> None:
    """Have the names in these folders survive a power cut."""
    for folder in dict.fromkeys(spot.folder for spot in spots):
        sync(folder)
