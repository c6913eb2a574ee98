"""The dialect of odoo.conf, read in no more time than its length: a stranger may write it."""

import configparser
import io
import re
from collections.abc import Iterator

# As configparser's own, which takes the square of a line's length where it has no sign of equality.
OPTION = re.compile(r"(?P<option>[^=:]+)(?P<vi>[=:])\s*(?P<value>.*)$")


class NoOption(Exception):
    """A line is neither a section nor an option."""


class _Option:
    """Finds the option in a line, in the place of an expression; one that has none ends it all."""

    @staticmethod
    def match(line: str) -> re.Match[str]:
        if found := OPTION.match(line):
            return found
        raise NoOption


class Dialect(configparser.ConfigParser):
    """The dialect of Odoo: no interpolation, repeated options taken as they come.

    Whoever wrote the text may be a stranger: it takes no more time than its length.
    """

    OPTCRE = _Option()  # type: ignore[assignment]  # it has what is asked of an expression


class Lines:
    """The lines of a text, and the number of the one that was read last."""

    def __init__(self, text: str) -> None:
        self.text, self.number = io.StringIO(text), 0

    def __iter__(self) -> Iterator[str]:
        for self.number, line in enumerate(self.text, 1):  # noqa: B020
            yield line
