"""rsync's server, for a client that asks for nothing else."""

from __future__ import annotations

import os
import re
from typing import NoReturn

from .door import Door, inside, refuse

SHORT = re.compile(r"^-[vlogDtprqbniWcxzHd]*(e[a-zA-Z0-9.]*)?$")
LONG = re.compile(
    r"^--(numeric-ids|list-only|partial|delete(-during|-delay|-before|-after)?|existing"
    r"|ignore-existing|backup|ignore-errors|from0|no-[a-z-]+|whole-file|outbuf=L|timeout=[0-9]+"
    r"|max-delete=[0-9]+|bwlimit=[0-9.a-zA-Z]+|log-format=[%a-zA-Z]+|out-format=[%a-zA-Z]+|stats"
    r"|recursive|dirs|new-compress|old-compress|compress-choice=[a-z0-9]+|fsync)$"
)


def rsync(door: Door, words: list[str]) -> NoReturn:
    """Become rsync's server, if its client asks for nothing else."""
    reads = words[2:3] == ["--sender"]
    if not reads and (why := door.objection(("failback",))):
        refuse(why)
    rest = words[3:] if reads else words[2:]
    options: list[str] = []
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--backup-dir":
            option += "=" + rest.pop(0)
        if not (reads and option.startswith("--backup-dir=")):
            options.append(allowed(door, option))
    if rest[:1] != ["."] or len(rest) < 2:  # noqa: PLR2004
        refuse("not a command of rsync's client")
    for path in rest[1:]:
        if path.startswith("-") or not inside(path, door.read if reads else door.write):
            refuse("path " + path)
    sender = ["--sender"] if reads else []
    os.execv("/usr/bin/rsync", ["rsync", "--server", *sender, *options, *rest])  # noqa: S606


def allowed(door: Door, option: str) -> str:
    """Let an option of rsync's server pass, or refuse it."""
    if option.startswith("--backup-dir="):
        if not inside(option.split("=", 1)[1], door.write):
            refuse("the backup folder is outside of what this key may write")
    elif not (SHORT.match(option) or LONG.match(option)):
        refuse("option " + option)
    return option
