"""Files on a host: read, installed whole, moved aside. Never edited in place.

An owner is said as chown wants it: `user:group`, or `user:` for the user's first group. All of it
goes through tasks/programs/files, by which root does nothing in another user's folder but as that
user.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeAlias

from blocks import at_hand
from blocks.answers import understood
from blocks.errors import CommandFailed
from blocks.shell import Completed, Shell
from tasks.host import source

STATE = PurePosixPath("/var/lib/relevo")
PROGRAM = source.source(
    "files", "rights", "way", "content", "descent", "tree", "gift", "together", "__main__"
)
BEGIN = ("python3", "-I", "-S", "-c", source.begin(PROGRAM), "files")
ABSENT, REFUSED = 1, 3
EDITS = 20
Change: TypeAlias = "Callable[[str], str]"
GIVE_SECONDS = 6 * 3600
SURROGATES = "surrogateescape"


def ask(
    shell: Shell, verb: str, *words: object, stdin: str = "", timeout_seconds: float = 60
) -> Completed:
    """Let the program do one thing; what it refuses it says in a sentence."""
    said = (verb, *map(str, words))
    done = shell.run(
        (*BEGIN, *said), stdin=PROGRAM + stdin, check=False, timeout_seconds=timeout_seconds
    )
    return require(shell, replace(done, argv=("files", *said)))


def require(shell: Shell, done: Completed) -> Completed:
    """Give what the program said; raise CommandFailed with its sentence where it refused."""
    if done.status == REFUSED:
        why, _, hint = done.stderr.partition("HINT:")
        raise CommandFailed(f"{shell.host} {why.strip()}", hint=hint.strip())
    absent = done.argv[1] == "exists" and done.status == ABSENT and not done.stderr
    if done.status and not absent:
        raise shell.complaint(done)
    return done


def _look(shell: Shell, verb: str, *words: object) -> Completed:
    """Ask the program what changes nothing, unless the answer is at hand."""
    return at_hand.find(shell.host, (verb, *map(str, words))) or ask(shell, verb, *words)


def install(
    shell: Shell, path: PurePosixPath, text: str, *, owner: str = "root:root", mode: str = "644"
) -> bool:
    """Give a file this content, owner and mode; tell whether anything changed."""
    return _install(shell, path, text, owner=owner, mode=mode) == "installed"


def edit(
    shell: Shell,
    path: PurePosixPath,
    change: Change,
    *,
    owner: str,
    mode: str,
) -> bool:
    """Change a file that others edit too; tell whether anything changed.

    Two procedures may edit one file (.pgpass, ~/.ssh/config) at the same moment, and neither must
    undo the other: what has changed meanwhile is read again.
    """
    for _ in range(EDITS):
        text = read(shell, path)
        former = hashlib.sha256(_bytes(text)).hexdigest()
        said = _install(shell, path, change(text), owner=owner, mode=mode, former=former)
        if said != "stale":
            return said == "installed"
    raise CommandFailed(
        f"{path} on {shell.host} changed during each of {EDITS} attempts to edit it",
        hint="find out what keeps writing it (lsof, auditctl), stop that, and run this again",
    )


def _install(
    shell: Shell, path: PurePosixPath, text: str, *, owner: str, mode: str, former: str = ""
) -> str:
    """Write by standard input, so that a secret is in no argv and in no log."""
    packed = base64.b64encode(_bytes(text)).decode() + "\n"
    return ask(shell, "install", path, owner, mode, former, stdin=packed).stdout.strip()


def _bytes(text: str) -> bytes:
    """What a text is on a host; bytes that are no UTF-8 come back as they were."""
    return text.encode(errors=SURROGATES)


def read(shell: Shell, path: PurePosixPath, *, at_most: int | None = None) -> str:
    """The content of a file; the empty string if there is none.

    Bytes that are no UTF-8 stand in it as Python's surrogates, and are written back as they were.
    """
    output = _look(shell, "read", path, *(() if at_most is None else (at_most,))).stdout
    try:
        return base64.b64decode("".join(output.split()), validate=True).decode(errors=SURROGATES)
    except ValueError as error:
        raise CommandFailed(
            f"{shell.host} did not answer with the content of {path}: {output[:60]!r}",
            hint=f"make sure that nothing but the command itself prints in a shell on {shell.host}",
        ) from error


def exists(shell: Shell, path: PurePosixPath) -> bool:
    return ask(shell, "exists", path).status == 0


def missing(shell: Shell, *paths: PurePosixPath) -> list[str]:
    """Those of some paths that are not there."""
    return _look(shell, "missing", *paths).stdout.splitlines()


def make_directory(shell: Shell, path: PurePosixPath, *, owner: str, mode: str = "755") -> None:
    """Make a directory, or see that the one that is there has this owner."""
    ask(shell, "make_directory", path, owner, mode)


def take(shell: Shell, path: PurePosixPath, *, group: str, mode: str) -> None:
    """Make a folder, or one that is there, root's; the group may be let in by the mode."""
    ask(shell, "take", path, group, mode)


@dataclass(frozen=True)
class Left:
    """How many files of a tree keep their owner, for they have names elsewhere; one of them."""

    count: int
    name: str


def give_tree(shell: Shell, path: PurePosixPath, *, former: str, user: str) -> Left:
    """Give a user all that a former one owns in a tree, links themselves and not what they name."""
    return give_trees(shell, [path], former=former, user=user)[path]


def give_trees(
    shell: Shell, paths: Sequence[PurePosixPath], *, former: str, user: str
) -> dict[PurePosixPath, Left]:
    """Give trees away together: a file whose names are all in them is left in none.

    Say of each what was left; of one that is not there, nothing was.
    """
    return _of_each(shell, "give_tree", paths, f"{former}:", f"{user}:")


def outside(
    shell: Shell, paths: Sequence[PurePosixPath], *, user: str
) -> dict[PurePosixPath, Left]:
    """Say what would be left of a user's trees if they were given away together."""
    return _of_each(shell, "outside", paths, f"{user}:")


def _of_each(
    shell: Shell, verb: str, paths: Sequence[PurePosixPath], *words: str
) -> dict[PurePosixPath, Left]:
    first, *more = paths
    output = ask(shell, verb, first, *words, *more, timeout_seconds=GIVE_SECONDS).stdout
    with understood(f"what {shell.host} says of {first}"):
        said = [line.split(" ", 1) for line in output.split("\n")[:-1]]
        left = [Left(int(count), name) for count, name in said]
        return dict(zip(paths, left, strict=True))


def remove(shell: Shell, *paths: PurePosixPath) -> None:
    """Remove files; those that are not there need no removing."""
    ask(shell, "remove", *paths)


def remove_tree(shell: Shell, path: PurePosixPath) -> None:
    """Delete a directory that has been replaced by a proven one."""
    ask(shell, "remove_tree", path, timeout_seconds=1800)


def move(shell: Shell, path: PurePosixPath, to: PurePosixPath) -> None:
    """Rename, never into an existing directory and never over an existing file."""
    ask(shell, "move", path, to)


def swap(shell: Shell, fresh: PurePosixPath, path: PurePosixPath, aside: PurePosixPath) -> None:
    """Put what is fresh in the place of what is there, which is kept aside.

    In one command: a caller that dies, or is ended, leaves the one or the other, and never nothing.
    """
    ask(shell, "swap", fresh, path, aside)


def home(shell: Shell, user: str) -> PurePosixPath:
    """The home that sshd and PostgreSQL use: asked of the system, never assumed."""
    return PurePosixPath(shell.run(("getent", "passwd", user)).stdout.split(":")[5])


def owner(shell: Shell, user: str) -> str:
    """A user and its first group, as chown wants them."""
    return f"{user}:" + shell.run(("id", "-gn", user)).stdout.strip()


def free_bytes(shell: Shell, path: PurePosixPath) -> int:
    found = shell.run(("df", "--output=avail", "-B1", str(path))).stdout.split()
    return int(found[1])


def used_bytes(shell: Shell, path: PurePosixPath, *, user: str) -> int:
    """What a directory takes, with what its links name, asked as the user that it belongs to."""
    # 1 where something vanished meanwhile or may not be read, which costs no sum.
    done = shell.run(("du", "-sLB1", str(path)), user=user, check=False, timeout_seconds=600)
    if not (found := done.stdout.split()):
        raise shell.complaint(done)
    return int(found[0])
