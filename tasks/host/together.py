"""Several things for one host in one command: the way there costs more than most of the answers.

What is only asked is kept at hand for the steps that need it (blocks/at_hand.py). Each of them asks
by the same words; where nothing is at hand, or it is too old, it asks by itself.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeAlias

from blocks import at_hand
from blocks.answers import understood
from blocks.lease import boot_seconds
from blocks.shell import Completed, Shell
from tasks.host import files

# The program's verb, and what it needs; "run" and the words of a command of root's.
Look: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Write:
    """A file that is to be there; where to put aside what has its name, if that must not go."""

    path: PurePosixPath
    text: str
    mode: str
    aside: PurePosixPath | None = None

    def words(self) -> Iterator[Look]:
        """What the program is asked for it."""
        if self.aside:
            yield ("set_aside", str(self.path), str(self.aside))
        packed = base64.b64encode(self.text.encode()).decode() + "\n"
        yield ("install", str(self.path), "root:root", self.mode, "", packed)


def command(*argv: str) -> Look:
    """A question to a host that is a command: it changes nothing, and root asks it."""
    return ("run", *argv)


def look(shell: Shell, *looks: Look) -> None:
    """Ask all of this at once, and keep the answers; what fails is asked again by itself."""
    since = boot_seconds()
    for asked, done in zip(looks, _together(shell, looks), strict=True):
        if done is not None and (asked[0] == "run" or done.status == 0):
            at_hand.keep(shell.host, asked, done, since=since)


def ask(shell: Shell, argv: Sequence[str], *, check: bool = True) -> Completed:
    """Ask by a command of root's that changes nothing, unless the answer is at hand."""
    done = at_hand.find(shell.host, command(*argv))
    if done is None:
        return shell.run(argv, check=check)
    if check and done.status != 0:
        raise shell.complaint(done)
    return done


def write(shell: Shell, *writes: Write) -> list[PurePosixPath]:
    """Put files in their places, one after the other, each on the disk before the next is begun.

    Give those in whose place something else stood, which was put aside.
    """
    asked = [words for each in writes for words in each.words()]
    aside = []
    for said, (verb, path, *_) in zip(_together(shell, asked), asked, strict=True):
        assert said is not None, "what failed before it was raised"
        if files.require(shell, replace(said, argv=("files", verb, path))).stdout == "moved":
            aside.append(PurePosixPath(path))
    return aside


def _together(shell: Shell, asked: Sequence[Look]) -> list[Completed | None]:
    """How each thing ended; none for what was not begun, for one before it had failed."""
    lines = "".join(" ".join(map(_packed, each)) + "\n" for each in asked)
    said = files.ask(shell, "together", stdin=lines).stdout if asked else ""
    with understood(f"what {shell.host} answers to {len(asked)} things"):
        return [_read(each, line) for each, line in zip(asked, said.splitlines(), strict=True)]


def _packed(word: str) -> str:
    return base64.b64encode(word.encode(errors=files.SURROGATES)).decode()


def _read(asked: Look, line: str) -> Completed | None:
    if line == "-":
        return None
    status, *said = line.split(" ")
    out, err = (base64.b64decode(each, validate=True).decode(errors="replace") for each in said)
    argv = asked[1:] if asked[0] == "run" else ("files", *asked)
    return Completed(argv, int(status), out, err)
