"""The forced command of the recovery host's key at an origin: files below some folders, no more.

It runs rsync, and it serves single files of the filestore by name (`relevo files`), which is what
keeps the recovery host in step within seconds. It reads. A file of root's under /run says for what
it may write as well, and until when, so that no accident leaves it open for ever:

    repair     documents that are lost or spoiled here are given back, by name (`relevo files`)
    failback   and the data directory is made the recovery host's, by rsync too

Whatever the recovery host says is bounded, and it never takes the last of the disk. Python 3.8,
standard library alone.

A request for files is a line; an answer is one byte, a length, and that many bytes:

    get DB/AB/SHA1            + content     0 (absent; the time here)     ! why not
    sum DB/AB/SHA1            + sha1        0                             !
    list DB                   + names and sizes, compressed
    put DB/AB/SHA1 SIZE ...   + (came whole; stored by the next flush)    !
    aside DB/AB/SHA1          + (moved to the quarantine)    0            !
    flush                     + (all that was put is on the disk)         !
"""

from __future__ import annotations

import shlex

from .door import Door, refuse
from .files import Files
from .rsync import rsync
from .service import Requests, Service


def main(door: Door, arguments: list[str]) -> None:
    words = shlex.split(arguments[0] if len(arguments) == 1 else "")
    if words == ["relevo", "files"]:
        Service(Files(door), Requests(0), 1).run()
    elif words[:2] == ["rsync", "--server"]:
        rsync(door, words)
    else:
        refuse("this key runs rsync and nothing else")
