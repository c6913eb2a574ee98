"""The forced command of the recovery host's key at the origin: rsync, and only below some folders.

It reads; it writes only below the data directory and the quarantine, and only until the time
that stands in a file of root's under /run, so that no accident leaves it open for ever.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

GATE = '''\
#!/usr/bin/python3
"""Written by Relevo for {instance}: lets the recovery host run rsync on some folders."""
import os, re, shlex, sys, time

READ = {read!r}
WRITE = {write!r}
UNTIL = {until!r}
SHORT = re.compile(r"^-[vlogDtprqbniWcxzHd]*(e[a-zA-Z0-9.]*)?$")
LONG = re.compile(
    r"^--(numeric-ids|list-only|partial|delete(-during|-delay|-before|-after)?|existing|ignore-existing|backup"
    r"|ignore-errors|from0|no-[a-z-]+|whole-file|outbuf=L|timeout=[0-9]+|max-delete=[0-9]+"
    r"|bwlimit=[0-9.a-zA-Z]+|log-format=[%a-zA-Z]+|out-format=[%a-zA-Z]+|stats|recursive|dirs"
    r"|new-compress|old-compress|compress-choice=[a-z0-9]+|fsync)$"
)


def refuse(why):
    sys.exit("relevo: refused: " + why)


def inside(path, folders):
    real = os.path.realpath(path)
    roots = [os.path.realpath(folder) for folder in folders]
    return any(real == root or real.startswith(root + "/") for root in roots)


def may_write():
    try:
        with open(UNTIL) as file:
            return time.time() < float(file.read())
    except (OSError, ValueError):
        return False


words = shlex.split(sys.argv[1] if len(sys.argv) == 2 else "")
if words[:2] != ["rsync", "--server"]:
    refuse("this key runs rsync and nothing else")
reads = words[2:3] == ["--sender"]
if not reads and not may_write():
    refuse("writing is open only while a failback runs")
rest = words[3:] if reads else words[2:]
options, paths = [], []
while rest and rest[0].startswith("-"):
    option = rest.pop(0)
    if option == "--backup-dir":
        option += "=" + rest.pop(0)
    if option.startswith("--backup-dir="):
        if reads:
            continue
        if not inside(option.split("=", 1)[1], WRITE):
            refuse("the backup folder is outside of what this key may write")
    elif not (SHORT.match(option) or LONG.match(option)):
        refuse("option " + option)
    options.append(option)
if rest[:1] != ["."] or len(rest) < 2:
    refuse("not a command of rsync's client")
for path in rest[1:]:
    if path.startswith("-") or not inside(path, READ if reads else WRITE):
        refuse("path " + path)
os.execv("/usr/bin/rsync", ["rsync", "--server"] + (["--sender"] if reads else []) + options + rest)
'''


def render(
    *,
    instance: str,
    read: Sequence[PurePosixPath],
    write: Sequence[PurePosixPath],
    until: PurePosixPath,
) -> str:
    """Let rsync read and write below these folders."""
    return GATE.format(
        instance=instance,
        read=[str(path) for path in read],
        write=[str(path) for path in write],
        until=str(until),
    )
