"""A tree walked with one folder open at a time: however deep it is, it can be walked to its end.

The way back is `..`, which has to lead where the walk came from: a folder that its owner moves
away meanwhile takes nobody along, for there the walk ends.
"""

from __future__ import annotations

import os

from .rights import Refusal
from .way import FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SAID = 8


class Descent:
    """A walk: the one folder that is open, those around it, and what is left to enter in each."""

    def __init__(self, start: int) -> None:
        self.start, self.opened = start, -1
        self.names: list[str] = []
        self.around: list[tuple[tuple[int, int, int], list[str]]] = []

    def down(self, name: str, enter: Callable[[int, list[str]], list[str]]) -> None:
        """Enter a folder that has this name; one that is gone by now needs no entering."""
        try:
            inner = os.open(name, FOLDER, dir_fd=self.start if self.opened < 0 else self.opened)
        except FileNotFoundError:
            return
        self._hold(inner)
        self.names.append(name)
        below = enter(inner, self.names)
        self.around.append((_identity(inner), below))

    def up(self) -> tuple[int, str]:
        """Go back to the folder around; give that, and the name of the one that was left."""
        name = self.names.pop()
        self.around.pop()
        if not self.around:
            self.close()
            return self.start, name
        self._hold(os.open("..", FOLDER, dir_fd=self.opened))
        if _identity(self.opened) != self.around[-1][0]:
            raise Refusal(
                f"{said(self.names)} was moved away while it was walked through",
                "see who works there (lsof), end that, and run this again",
            )
        return self.opened, name

    def _hold(self, folder: int) -> None:
        self.close()
        self.opened = folder

    def close(self) -> None:
        """Close the folder that is open, if one is."""
        if self.opened >= 0:
            os.close(self.opened)
            self.opened = -1


def _identity(folder: int) -> tuple[int, int, int]:
    """Which folder this is, and whose: of a number that was given again, the owner tells."""
    facts = os.fstat(folder)
    return facts.st_dev, facts.st_ino, facts.st_uid


def descend(
    folder: int,
    name: str,
    enter: Callable[[int, list[str]], list[str]],
    leave: Callable[[int, str], None] = lambda *_: None,
) -> None:
    """Enter a folder, and all that `enter` names below it; leave each when nothing is left there.

    `enter` has the folder and the names that lead to it, `leave` the folder around and its name.
    """
    walk = Descent(folder)
    try:
        walk.down(name, enter)
        while walk.around:
            below = walk.around[-1][1]
            if below:
                walk.down(below.pop(), enter)
            else:
                leave(*walk.up())
    finally:
        walk.close()


def said(names: list[str]) -> str:
    """Name a place in a tree; of one that is deep, its beginning and its end."""
    if len(names) > MOST_SAID:
        names = [names[0], "...", *names[2 - MOST_SAID :]]
    return "/".join(names).replace("\n", "?")
