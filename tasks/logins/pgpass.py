"""The password file of postgres."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from blocks.lines import lines_of

FIELD = re.compile(r"(?<!\\):")


@dataclass(frozen=True)
class Entry:
    """One line: where, as whom, with which password."""

    host: str
    port: int
    database: str
    user: str
    password: str

    @property
    def key(self) -> str:
        return ":".join(escape(str(f)) for f in (self.host, self.port, self.database, self.user))


def escape(field: str) -> str:
    r"""
    >>> escape("2001:db8::1")
    '2001\\:db8\\:\\:1'
    """
    return field.replace("\\", "\\\\").replace(":", "\\:")


def merge(text: str, entries: Iterable[Entry]) -> str:
    r"""Put these entries in place of their former selves, or first; leave all others.

    libpq takes the first line that fits, so an entry goes first where a wildcard of somebody
    else's would be taken before it.

    >>> merge("other:1:*:u:p\nh:5432:*:r:old\n", [Entry("h", 5432, "*", "r", "new")])
    'other:1:*:u:p\nh:5432:*:r:new\n'
    """
    wanted = {f"{entry.key}:": f"{entry.key}:{escape(entry.password)}\n" for entry in entries}
    lines: list[str] = []
    first: list[str] = []
    for line in lines_of(text if text.endswith("\n") or not text else f"{text}\n"):
        key = next((key for key in wanted if line.startswith(key)), None)
        if key is None:
            lines.append(line)
        elif any(_shadows(earlier, key) for earlier in lines):
            first.append(wanted.pop(key))
        else:
            lines.append(wanted.pop(key))
    return "".join([*wanted.values(), *first, *lines])


def without(text: str, starts: str) -> str:
    r"""Leave out the lines that begin so.

    >>> without("h:5432:*:r:x\nother:1:*:u:p\n", "h:5432:")
    'other:1:*:u:p\n'
    """
    return "".join(line for line in lines_of(text) if not line.startswith(starts))


def _shadows(line: str, key: str) -> bool:
    r"""Tell whether libpq would take this line for that entry.

    >>> _shadows("*:*:*:r:x", "h:1:*:r:"), _shadows("h:2:*:r:x", "h:1:*:r:")
    (True, False)
    """
    theirs, ours = FIELD.split(line), FIELD.split(key)
    pairs = zip(theirs[:4], ours[:4], strict=False)
    return len(theirs) > 4 and all(their in {"*", our} for their, our in pairs)  # noqa: PLR2004
