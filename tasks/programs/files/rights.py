"""Whose rights a work has. Root does as another user what it does in that user's folder.

Rights are changed by the effective ids alone: the process stays root's, and nobody else can stop
it or look into it.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # typing, like re and hashlib, takes longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK = "see what is there (ls -ld), and correct its owner"


class Refusal(Exception):
    """Why something is not done, and what a person can do about it."""

    def __init__(self, why: str, hint: str = LOOK) -> None:
        super().__init__(why)
        self.hint = hint


class Owner:
    """A user and a group, by their numbers."""

    def __init__(self, uid: int, gid: int) -> None:
        self.uid, self.gid = uid, gid

    def has(self, facts: os.stat_result) -> bool:
        return (facts.st_uid, facts.st_gid) == (self.uid, self.gid)


def person(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def group_ids(uid: int) -> list[int]:
    """The groups of a user, the first one first; one whom nobody knows has its own number."""
    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        return [uid]
    others = os.getgrouplist(known.pw_name, known.pw_gid)
    return [known.pw_gid, *(gid for gid in others if gid != known.pw_gid)]


def owner_of(words: str) -> Owner:
    """Look up `user:group`; either may be a number, and no group is the user's first."""
    user, _, group = words.partition(":")
    try:
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        if not group:
            return Owner(uid, group_ids(uid)[0])
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise Refusal(
            f"there is no user or group {words} here", "create the user and its group"
        ) from None
    return Owner(uid, gid)


@contextmanager
def rights_of(uid: int) -> Iterator[None]:
    """Have the rights of a user and no others; who has no more than another's keeps to those."""
    if uid == 0 or os.geteuid() != 0:
        yield
        return
    groups, before = group_ids(uid), os.getgroups()
    os.setgroups(groups)
    os.setegid(groups[0])
    os.seteuid(uid)
    try:
        yield
    except PermissionError as error:
        raise Refusal(
            f"{person(uid)} has no right to do it ({error.strerror}), and nobody else acts there",
            f"see who may (ls -ld): what is done there is done as {person(uid)}, not as root",
        ) from error
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def strangers(folder: int, facts: os.stat_result) -> str:
    """Name who else can write in a folder of root's; nothing if nobody can."""
    if facts.st_mode & stat.S_IWOTH:
        return "anybody"
    if not facts.st_mode & stat.S_IWGRP:
        return ""
    with suppress(OSError):
        os.getxattr(f"/proc/self/fd/{folder}", "system.posix_acl_access")
        return "whoever its access list names"
    names = [each.pw_name for each in pwd.getpwall() if each.pw_gid == facts.st_gid and each.pw_uid]
    with suppress(KeyError):
        names += [name for name in grp.getgrgid(facts.st_gid).gr_mem if name != "root"]
    return ", ".join(sorted(set(names))[:3])


def keeper(folder: int) -> int:
    """Whose rights whatever is done in a folder has to have."""
    if os.geteuid() != 0:
        return os.geteuid()
    facts = os.fstat(folder)
    if facts.st_uid == 0 and (who := strangers(folder, facts)):
        raise Refusal(
            f"its folder belongs to root, but {who} can write there as well",
            "remove that right (chmod o-w,g-w), or name a folder that belongs to one user alone",
        )
    return facts.st_uid
