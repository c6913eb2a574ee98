"""A sentence with places for names and figures, and the text that it makes of them."""

import functools
import string
from dataclasses import dataclass

LEAST = 4  # letters of its own, which a sentence has to have to be known again


@dataclass(frozen=True)
class Template:
    """A sentence as the catalogue has it: `locked by {holder}`."""

    text: str

    @functools.cached_property
    def pieces(self) -> tuple[tuple[str, str | None], ...]:
        """What stands before each place, and its name; after the last there is none."""
        read = [(literal, name) for literal, name, _, _ in string.Formatter().parse(self.text)]
        return (*read, ("", None)) if read and read[-1][1] is not None else tuple(read)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for _, name in self.pieces if name is not None)

    @functools.cached_property
    def own(self) -> str:
        """Its words without the places."""
        return "".join(literal for literal, _ in self.pieces)

    @functools.cached_property
    def longest(self) -> str:
        """The longest of its own words, which a text has to hold that was made of it."""
        return max((literal for literal, _ in self.pieces), key=len, default="")

    @property
    def is_known_again(self) -> bool:
        return sum(map(str.isalpha, self.own)) >= LEAST

    def read(self, text: str) -> dict[str, str] | None:
        """Read the values out of a text that was made of this; nothing where it was not.

        Each piece is looked for once from where the one before has ended: a text that somebody else
        has written costs no more than its length.

        >>> Template("{host} is locked by {holder}").read("uno is locked by a run")
        {'host': 'uno', 'holder': 'a run'}
        >>> Template("{host} is locked").read("uno is locked by a run")
        >>> Template("no {name} here{meant}").read("no vps_1 here")
        {'name': 'vps_1', 'meant': ''}
        """
        (first, name), *rest = self.pieces or (("", None),)
        if not rest:
            return {} if text == first else None
        last, _ = rest[-1]
        if not (text.startswith(first) and text.endswith(last)):
            return None
        at, end, values = len(first), len(text) - len(last), dict[str, str]()
        for literal, following in rest[:-1]:
            found = text.find(literal, at, end)
            if found < 0:
                return None
            if values.setdefault(str(name), text[at:found]) != text[at:found]:
                return None  # one name stands for one thing
            at, name = found + len(literal), following
        if at > end:
            return None
        return values if values.setdefault(str(name), text[at:end]) == text[at:end] else None

    def make(self, values: dict[str, str]) -> str:
        return "".join(
            literal + (values[name] if name is not None else "") for literal, name in self.pieces
        )
