"""A document whose file is nowhere, as a report names it."""

from dataclasses import dataclass
from typing import Literal

from blocks.plain import plain


@dataclass(frozen=True)
class Document:
    """A document that the database knows and whose file is not there."""

    database: str
    attachment: int
    name: str
    record: str
    created: str
    file: str
    author: str = ""
    why: str = ""
    kind: Literal["missing", "unread", "not copied"] = "missing"

    @property
    def is_known(self) -> bool:
        """It is a document, and no word on a database that was not read or not copied."""
        return self.kind == "missing"

    def __str__(self) -> str:
        if not self.is_known:
            return plain(self.why)
        behind = ", ".join(each for each in (self.record, self.author, self.created) if each)
        return plain(f"{self.database}: {self.name} ({behind})")
