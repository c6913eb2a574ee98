"""Root touches nothing by path in folders of others: it does so as their owner."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
from typing import Iterator


@contextlib.contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Open, write and remove files with the rights of a user, where this process is root's.

    Not for programs with threads. Whoever is not root has no other rights to take.
    """
    if os.geteuid() != 0:
        yield
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise PermissionError(errno.EPERM, f"there is no user {user}") from error
    group, groups = os.getegid(), os.getgroups()
    os.setgroups(os.getgrouplist(user, entry.pw_gid))
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def become(user: str) -> tuple[str, ...]:
    """The words before a command that a user is to run.

    >>> become("postgres")[:3] in {("runuser", "-u", "postgres"), ()}
    True
    """
    return ("runuser", "-u", user, "--") if os.geteuid() == 0 else ()
