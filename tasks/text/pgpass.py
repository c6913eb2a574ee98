"""The password file of postgres."""

from collections.abc import Iterable
from dataclasses import dataclass


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
        return ":".join(_escape(str(f)) for f in (self.host, self.port, self.database, self.user))


def _escape(field: str) -> str:
    r"""
    >>> _escape("2001:db8::1")
    '2001\\:db8\\:\\:1'
    """
    return field.replace("\\", "\\\\").replace(":", "\\:")


def merge(text: str, entries: Iterable[Entry]) -> str:
    r"""Put these entries in place of their former selves, or first; leave all others.

    >>> merge("other:1:*:u:p\nh:5432:*:r:old\n", [Entry("h", 5432, "*", "r", "new")])
    'other:1:*:u:p\nh:5432:*:r:new\n'
    """
    wanted = {f"{entry.key}:": f"{entry.key}:{_escape(entry.password)}" for entry in entries}
    lines = []
    for line in text.splitlines():
        key = next((key for key in wanted if line.startswith(key)), None)
        lines.append(wanted.pop(key) if key else line)
    return "".join(f"{line}\n" for line in [*wanted.values(), *lines])
