"""Files on a host: read, installed whole, moved aside. Never edited in place."""

from pathlib import PurePosixPath

from blocks.shell import Shell

STATE = PurePosixPath("/var/lib/relevo")

# The text comes by standard input, so that a secret in it is in no argv and in no log.
INSTALL = """
set -e
path=$1 owner=$2 mode=$3
umask 022
mkdir -p "$(dirname "$path")"
umask 077
beside=$(mktemp "$path.XXXXXX")
trap 'rm -f "$beside"' EXIT
cat >"$beside"
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
    argv = ("sh", "-c", INSTALL, "install", str(path), owner, mode)
    return shell.run(argv, stdin=text).stdout.strip() == "installed"


def read(shell: Shell, path: PurePosixPath) -> str:
    """The content of a file; the empty string if there is none."""
    argv = ("sh", "-c", 'if [ -e "$1" ]; then cat "$1"; fi', "read", str(path))
    return shell.run(argv).stdout


def exists(shell: Shell, path: PurePosixPath) -> bool:
    return shell.run(("test", "-e", str(path)), check=False).status == 0


def make_directory(shell: Shell, path: PurePosixPath, *, owner: str, mode: str = "755") -> None:
    user, group = owner.split(":")
    shell.run(("install", "-d", "-o", user, "-g", group, "-m", mode, str(path)))


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
    found = shell.run(("du", "-sB1", str(path)), timeout_seconds=600).stdout.split()
    return int(found[0])
