"""Files on a host: read, installed whole, moved aside. Never edited in place."""

import hashlib
from collections.abc import Callable
from pathlib import PurePosixPath

from blocks.shell import Shell

STATE = PurePosixPath("/var/lib/relevo")

# The text comes by standard input, so that a secret in it is in no argv and in no log.
# A fourth argument is the sum of the content that the new one was made from: two procedures may
# edit one file (.pgpass, ~/.ssh/config) at the same moment, and neither must undo the other.
INSTALL = """
set -e
path=$1 owner=$2 mode=$3 former=$4
umask 022
mkdir -p "$(dirname "$path")"
exec 9>>/run/lock/relevo-files
flock 9
umask 077
beside=$(mktemp "$path.XXXXXX")
trap 'rm -f "$beside"' EXIT
cat >"$beside"
if [ -n "$former" ] && [ "$former" != "$(cat "$path" 2>/dev/null | sha256sum | cut -c1-64)" ]; then
    echo stale
    exit 0
fi
chown "$owner" "$beside"
chmod "$mode" "$beside"
if [ -f "$path" ] && cmp -s "$path" "$beside" \
    && [ "$(stat -c '%U:%G %a' "$path")" = "$(stat -c '%U:%G %a' "$beside")" ]; then
    echo same
else
    sync "$beside"
    mv -T "$beside" "$path"
    sync "$(dirname "$path")"
    echo installed
fi
"""


def install(
    shell: Shell, path: PurePosixPath, text: str, *, owner: str = "root:root", mode: str = "644"
) -> bool:
    """Give a file this content, owner and mode; tell whether anything changed."""
    return _install(shell, path, text, owner=owner, mode=mode) == "installed"


def edit(
    shell: Shell,
    path: PurePosixPath,
    change: Callable[[str], str],
    *,
    owner: str,
    mode: str,
) -> bool:
    """Change a file that others edit too; tell whether anything changed."""
    while True:
        text = read(shell, path)
        former = hashlib.sha256(text.encode()).hexdigest()
        said = _install(shell, path, change(text), owner=owner, mode=mode, former=former)
        if said != "stale":
            return said == "installed"


def _install(
    shell: Shell, path: PurePosixPath, text: str, *, owner: str, mode: str, former: str = ""
) -> str:
    argv = ("sh", "-c", INSTALL, "install", str(path), owner, mode, former)
    return shell.run(argv, stdin=text).stdout.strip()


def read(shell: Shell, path: PurePosixPath) -> str:
    """The content of a file; the empty string if there is none."""
    argv = ("sh", "-c", 'if [ -e "$1" ]; then cat "$1"; fi', "read", str(path))
    return shell.run(argv).stdout


def exists(shell: Shell, path: PurePosixPath) -> bool:
    return shell.run(("test", "-e", str(path)), check=False).status == 0


def missing(shell: Shell, *paths: PurePosixPath) -> list[str]:
    """Those of some paths that are not there."""
    script = 'for path; do [ -e "$path" ] || printf "%s\\n" "$path"; done'
    argv = ("sh", "-c", script, "missing", *(str(path) for path in paths))
    return shell.run(argv).stdout.splitlines()


def make_directory(shell: Shell, path: PurePosixPath, *, owner: str, mode: str = "755") -> None:
    user, group = owner.split(":")
    shell.run(("install", "-d", "-o", user, "-g", group, "-m", mode, str(path)))


TAKE = """
set -e
mkdir -p "$1"
test ! -L "$1"
chown -h "root:$2" "$1"
chmod "$3" "$1"
"""


def take(shell: Shell, path: PurePosixPath, *, group: str, mode: str) -> None:
    """Make a folder, or one that is there, root's."""
    shell.run(("sh", "-c", TAKE, "take", str(path), group, mode))


def give_tree(shell: Shell, path: PurePosixPath, *, former: str, user: str) -> None:
    """Give a user all that a former one owns in a tree, links themselves and not what they name."""
    if exists(shell, path):
        argv = ("chown", "-R", "-h", "-P", f"--from={former}", f"{user}:", str(path))
        shell.run(argv, timeout_seconds=6 * 3600)


def remove(shell: Shell, *paths: PurePosixPath) -> None:
    """Remove files; those that are not there need no removing."""
    shell.run(("rm", "-f", *(str(path) for path in paths)))


def remove_tree(shell: Shell, path: PurePosixPath) -> None:
    """Delete a directory that has been replaced by a proven one."""
    shell.run(("rm", "-rf", "--one-file-system", str(path)), timeout_seconds=1800)


def move(shell: Shell, path: PurePosixPath, to: PurePosixPath) -> None:
    """Rename, never into an existing directory and never over an existing file."""
    shell.run(("mv", "-n", "-T", str(path), str(to)))
    shell.run(("test", "!", "-e", str(path)))


SWAP = """
set -e
if [ -e "$2" ]; then test ! -e "$3"; mv -n -T "$2" "$3"; fi
mv -n -T "$1" "$2"
test ! -e "$1"
"""


def swap(shell: Shell, fresh: PurePosixPath, path: PurePosixPath, aside: PurePosixPath) -> None:
    """Put what is fresh in the place of what is there, which is kept aside.

    In one command: a caller that dies leaves the one or the other, and never nothing.
    """
    shell.run(("sh", "-c", SWAP, "swap", str(fresh), str(path), str(aside)))


def home(shell: Shell, user: str) -> PurePosixPath:
    """The home that sshd and PostgreSQL use: asked of the system, never assumed."""
    return PurePosixPath(shell.run(("getent", "passwd", user)).stdout.split(":")[5])


def owner(shell: Shell, user: str) -> str:
    """A user and its first group, as chown wants them."""
    return f"{user}:" + shell.run(("id", "-gn", user)).stdout.strip()


def free_bytes(shell: Shell, path: PurePosixPath) -> int:
    found = shell.run(("df", "--output=avail", "-B1", str(path))).stdout.split()
    return int(found[1])


def used_bytes(shell: Shell, path: PurePosixPath) -> int:
    found = shell.run(("du", "-sLB1", str(path)), timeout_seconds=600).stdout.split()
    return int(found[0])
