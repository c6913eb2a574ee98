"""Where sshd of a host looks for the keys of a user: asked of sshd itself."""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.shell import Shell
from tasks.host import files
from tasks.host import sshd_settings as reading
from tasks.run.step import log


def keys_file(shell: Shell, user: str, *, peer: str) -> PurePosixPath:
    """The file in which a key of this user counts, when that peer logs in."""
    home = files.home(shell, user)
    argv = ("/usr/sbin/sshd", "-T", "-C", f"user={user},host={peer},addr={peer}")
    done = shell.run(argv, check=False)
    if done.status != 0:
        log().warning("sshd on %s does not say where it looks for keys: %s", shell.host, done.tail)
        return home / ".ssh" / "authorized_keys"
    found = reading.keys_file(done.stdout, user=user, home=home)
    if found is None:
        raise Refused(
            f"sshd on {shell.host} reads the keys of {user} from no file (AuthorizedKeysFile)",
            hint=f"set AuthorizedKeysFile for {user} in sshd_config there, for example to "
            ".ssh/authorized_keys",
        )
    return found


def admit(shell: Shell, user: str, *, peer: str, change: files.Change) -> None:
    """Change the file in which a user's keys count; one that is there keeps its owner and mode."""
    path, owner = keys_file(shell, user, peer=peer), files.owner(shell, user)
    home = files.home(shell, user)
    if path.is_relative_to(home):
        if not files.exists(shell, path.parent):
            files.make_directory(shell, path.parent, owner=owner, mode="700")
        files.edit(shell, path, change, owner=owner, mode="600")
        return
    fields = shell.run(("stat", "-Lc", "%U:%G %a", str(path)), check=False).stdout.split()
    kept = fields if len(fields) == 2 else ["root:root", "644"]  # noqa: PLR2004  # an owner and a mode
    if not files.exists(shell, path.parent):
        files.make_directory(shell, path.parent, owner="root:root", mode="755")
    files.edit(shell, path, change, owner=kept[0], mode=kept[1])


# Arguments: a path in a folder of root's, and a comment. A whole key has both halves; what a power
# cut has left, or a run that died while it was made, is none.
MAKE_KEY = """
set -e
if ! [ -s "$1" ] || ! [ -s "$1.pub" ]; then
    rm -f "$1" "$1.pub"
    ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1"
    sync "$1" "$1.pub"
fi
"""


def make_key(shell: Shell, path: PurePosixPath, comment: str) -> None:
    """Make a key, once; its folder is root's, where nobody else can put anything in the way."""
    shell.run(("sh", "-c", MAKE_KEY, "make key", str(path), comment))
