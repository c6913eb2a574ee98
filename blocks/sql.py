"""What is asked of PostgreSQL: where and as whom, a statement, and its values beside it.

Values go beside the statement, never in it; where PostgreSQL takes none (CREATE ROLE), `compose`
quotes them as libpq does. How it is asked stands in session.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from psycopg.sql import SQL, Composed, Identifier, Literal

__all__ = ["Composed", "Identifier", "Literal", "compose"]

Value: TypeAlias = "str | int | float | bool | None"
Row: TypeAlias = "dict[str, Value]"
Parameter: TypeAlias = "str | int | bool | list[str] | list[int] | None"
Statement: TypeAlias = "str | Composed"


@dataclass(frozen=True)
class Login:
    """Where a session goes, and as whom."""

    cluster: str
    unit: str
    version: int
    user: str  # the system user whom PostgreSQL lets in
    where: str  # a socket's path, or host:port
    role: str = "postgres"
    database: str = "postgres"
    superuser: bool = True
    password: str = field(default="", repr=False)

    @property
    def kept(self) -> bool:
        return self.superuser and self.database == "postgres"


@dataclass(frozen=True)
class Question:
    """A statement with its values; one that acts is never asked twice.

    `settings` hold for this statement alone.
    """

    sql: Statement
    parameters: tuple[Parameter, ...] = ()
    acts: bool = False
    timeout_seconds: float = 60
    settings: Mapping[str, str] = field(default_factory=dict)


def compose(text: str, **parts: Identifier | Literal) -> Composed:
    """Put names and values into a statement that takes no parameters.

    >>> compose("COMMENT ON ROLE {role} IS {word}",
    ...     role=Identifier('a"b'), word=Literal("it's")).as_string(None)
    'COMMENT ON ROLE "a""b" IS \\'it\\'\\'s\\''
    """
    return SQL(text).format(**parts)
