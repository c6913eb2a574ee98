"""The way to a file, by descriptors: what is held open cannot be exchanged for something else."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import ExitStack, suppress

from .rights import Refusal, keeper, person, rights_of

LOCKS = "/run/relevo"
LOCK_SECONDS = 30
MOST_LINKS = 40
HELD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Spot:
    """A name in a folder that is held open, and what stands there, if anything does."""

    def __init__(self, folder: int, name: str, facts: os.stat_result | None) -> None:
        self.folder, self.name, self.facts = folder, name, facts


def walk(work: ExitStack, path: str, *, follow: bool = True, make: bool = False) -> Spot:
    """Go to the folder of a path, which stays open until the work ends; make what is missing."""
    names = parts(path)
    if not path.startswith("/") or not names or ".." in names:
        raise Refusal("a path begins with / and does not go back", "write the path in full")
    folder, links = enter(work, None, "/"), 0
    while names:
        name = names.pop()
        try:
            found = enter(work, folder, name)
        except FileNotFoundError:
            if not names:
                return Spot(folder, name, None)
            if not make:
                raise
            make_folder(folder, name)
            names.append(name)
            continue
        facts = os.fstat(found)
        if stat.S_ISLNK(facts.st_mode) and (names or follow):
            links += 1
            target = follow_link(work, folder, found, facts, links)
            names += parts(target)
            folder = enter(work, None, "/") if target.startswith("/") else folder
        elif not names and name != "..":
            return Spot(folder, name, facts)
        else:
            folder = found
    raise Refusal("a link leads to a folder that has no name of its own")


def parts(path: str) -> list[str]:
    """The names of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def enter(work: ExitStack, folder: int | None, name: str) -> int:
    """Hold what has a name in a folder, whatever it is; follow no link."""
    if name == ".." and folder is not None and os.geteuid() == 0 and os.fstat(folder).st_uid != 0:
        raise Refusal("a link leads through .. out of a folder that root does not own")
    held = os.open(name, HELD, dir_fd=folder)
    work.callback(os.close, held)
    return held


def follow_link(work: ExitStack, folder: int, link: int, facts: os.stat_result, links: int) -> str:
    """Say where a link leads, and go on with the rights of who can have put it there."""
    if links > MOST_LINKS:
        raise Refusal("its links lead round in a circle")
    around = keeper(folder)
    if around and facts.st_uid not in {0, around} and os.geteuid() == 0:
        raise Refusal(f"{person(facts.st_uid)} has put a link into a folder of {person(around)}")
    work.enter_context(rights_of(around or facts.st_uid))
    return os.readlink("", dir_fd=link)


def make_folder(folder: int, name: str) -> None:
    with rights_of(keeper(folder)), suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=folder)
        sync(folder)


def sync(folder: int) -> None:
    """Have a folder's names survive a power cut."""
    opened = os.open(".", FOLDER, dir_fd=folder)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def lock(work: ExitStack, uid: int) -> None:
    """Let no other program of this kind write in this user's folders; of others', none waits."""
    rights = os.geteuid()
    os.seteuid(0)
    try:
        with ExitStack() as way:
            spot = walk(way, f"{LOCKS}/files-{uid}.lock", make=True)
            if keeper(spot.folder) != 0:
                raise Refusal(f"{LOCKS} belongs to {person(keeper(spot.folder))}, not to root")
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            held = os.open(spot.name, flags, 0o600, dir_fd=spot.folder)
    finally:
        os.seteuid(rights)
    work.callback(os.close, held)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise Refusal(f"another writer has been at work for {LOCK_SECONDS} s", "run this again")
        time.sleep(0.02)


def find(spot: Spot) -> os.stat_result | None:
    """What has a name at this moment; no link is followed."""
    with suppress(FileNotFoundError):
        return os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False)
    return None
