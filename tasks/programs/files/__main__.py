"""What is asked for: a verb, a path, and what the verb needs."""

from __future__ import annotations

import binascii
import os
import sys
from contextlib import ExitStack, suppress

from .content import MOST_BYTES, content, sha256, write
from .gift import Gift, take
from .rights import Refusal, keeper, owner_of, person, rights_of
from .together import Command, answer, asked
from .tree import deaf, delete, exchange, make, rename
from .way import Spot, lock, sync, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT = 1
REFUSED = 3


def read(path: str, most: str = str(MOST_BYTES)) -> str:
    with ExitStack() as work:
        try:
            spot = walk(work, path)
            work.enter_context(rights_of(keeper(spot.folder)))
            return binascii.b2a_base64(content(spot, int(most)) or b"").decode()
        except (FileNotFoundError, NotADirectoryError):
            return ""


def install(path: str, owner: str, mode: str, former: str = "", text: str = "") -> str:
    said = text.encode() if text else sys.stdin.buffer.read()
    wanted = owner_of(owner)
    if former:
        sha256(b"")  # has Python read what that takes, before it may read nothing but the user's
    if not said.endswith(b"\n"):
        raise Refusal("the content of the file arrived incomplete", "run this again")
    with ExitStack() as work:
        spot = walk(work, path, make=True)
        who = keeper(spot.folder)
        if who not in {0, wanted.uid}:
            raise Refusal(
                f"its folder belongs to {person(who)}: root does not write there, and "
                f"{person(who)} cannot make a file for {person(wanted.uid)}",
                f"give the folder to root or to {person(wanted.uid)}",
            )
        lock(work, who)
        work.enter_context(rights_of(who))
        return write(spot, binascii.a2b_base64(said), wanted, int(mode, 8), former)


def exists(path: str) -> str:
    if not there(path):
        raise SystemExit(ABSENT)
    return ""


def there(path: str) -> bool:
    with ExitStack() as work, suppress(FileNotFoundError, NotADirectoryError):
        return walk(work, path).facts is not None
    return False


def missing(*paths: str) -> str:
    return "".join(f"{path}\n" for path in paths if not there(path))


def make_directory(path: str, owner: str, mode: str) -> str:
    wanted = owner_of(owner)
    with ExitStack() as work:
        spot = walk(work, path, make=True)
        make(spot, keeper(spot.folder), wanted, int(mode, 8))
    return ""


def take_folder(path: str, group: str, mode: str) -> str:
    with ExitStack() as work:
        take(walk(work, path, make=True, follow=False), owner_of(f"root:{group}"), int(mode, 8))
    return ""


def give(path: str, former: str, user: str, *more: str) -> str:
    """Give trees away together; say of each what is left."""
    return given(Gift(owner_of(former), owner_of(user)), path, *more)


def outside(path: str, user: str, *more: str) -> str:
    """Say what would be left of a user's trees, if they were given away together."""
    return given(Gift(owner_of(user), None), path, *more)


def given(gift: Gift, *paths: str) -> str:
    for each in paths:
        with ExitStack() as work, suppress(FileNotFoundError, NotADirectoryError):
            spot = walk(work, each, follow=False)
            if spot.facts is not None:
                gift.give_tree(spot)
        gift.trees += 1
    return "".join(f"{count} {name}\n" for count, name in gift.left())


def remove(*paths: str) -> str:
    for path in paths:
        with ExitStack() as work, suppress(FileNotFoundError, NotADirectoryError):
            spot = walk(work, path, follow=False)
            if spot.facts is not None:
                work.enter_context(rights_of(keeper(spot.folder)))
                os.unlink(spot.name, dir_fd=spot.folder)
                sync(spot.folder)
    return ""


def remove_tree(path: str) -> str:
    with ExitStack() as work, suppress(FileNotFoundError, NotADirectoryError):
        spot = walk(work, path, follow=False)
        if spot.facts is not None:
            delete(spot, keeper(spot.folder))
    return ""


def move(path: str, to: str) -> str:
    with ExitStack() as work:
        spot, target = same_rights(work, path, to)
        rename(spot, target)
    return ""


def swap(fresh: str, path: str, aside: str) -> str:
    """Put what is fresh in the place of what is there, which is kept aside."""
    with deaf(), ExitStack() as work:  # deaf first: as another user it may read nothing of Python's
        new, old, kept = same_rights(work, fresh, path, aside)
        if new.facts is None:
            raise Refusal(f"there is no {new.name} to put there", "run this again, which makes it")
        exchange(new, old, kept)
    return ""


def set_aside(path: str, to: str) -> str:
    """Move what has a name away, if anything does."""
    return f"{move(path, to)}moved" if there(path) else ""


def together() -> str:
    """Do several things, and say of each how it ended; a file that fails is the last one.

    Commands run beside each other and beside the files; files are read and written in order.
    """
    wanted = asked(sys.stdin.buffer.read())
    running = {at: Command(words) for at, (verb, *words) in enumerate(wanted) if verb == "run"}
    ended, failed = {}, False
    for at, words in enumerate(wanted):
        if at not in running and not failed:
            status, out, err = one(words)
            ended[at], failed = answer(status, out, err), status != 0
    ended.update((at, each.end()) for at, each in running.items())
    return "".join(ended.get(at, "-\n") for at in range(len(wanted)))


def same_rights(work: ExitStack, *paths: str) -> list[Spot]:
    """Go to some paths whose folders one user keeps, and have that user's rights."""
    spots = [walk(work, path, follow=False) for path in paths]
    keepers = {keeper(spot.folder) for spot in spots}
    if len(keepers) > 1:
        raise Refusal(f"their folders belong to {' and '.join(map(person, sorted(keepers)))}")
    work.enter_context(rights_of(keepers.pop()))
    return spots


VERBS: dict[str, tuple[Callable[..., str], str]] = {
    "read": (read, "cannot read"),
    "install": (install, "cannot write"),
    "exists": (exists, "cannot look for"),
    "missing": (missing, "cannot look for"),
    "make_directory": (make_directory, "cannot make"),
    "take": (take_folder, "cannot make root's"),
    "give_tree": (give, "cannot give away"),
    "outside": (outside, "cannot look through"),
    "remove": (remove, "cannot remove"),
    "remove_tree": (remove_tree, "cannot delete"),
    "move": (move, "cannot move"),
    "swap": (swap, "cannot put in its place"),
    "set_aside": (set_aside, "cannot move away"),
    "together": (together, "cannot do several things"),
}


def one(words: list[str]) -> tuple[int, bytes, bytes]:
    """Do one thing; say why not, in a sentence, where it is refused."""
    verb, *given = words
    act, cannot = VERBS[verb]
    try:
        return 0, os.fsencode(act(*given)), b""
    except (Refusal, OSError) as error:
        hint = error.hint if isinstance(error, Refusal) else "see what is there (ls -ld)"
        why = error if isinstance(error, Refusal) else error.strerror
        said = f"{' '.join([cannot, *given[:1]])}: {why}\nHINT: {hint}\n"
        return REFUSED, b"", os.fsencode(said)


def main(words: list[str]) -> int:
    """Do what is asked, and say it."""
    os.umask(0o022)
    status, out, err = one(words)
    sys.stdout.buffer.write(out)
    sys.stderr.buffer.write(err)
    return status
