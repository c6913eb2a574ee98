"""A PostgreSQL cluster as Debian packages it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from blocks.names import TRIED, AbsolutePath, ClusterName, Port, UserName
from blocks.shell import Shell
from blocks.sql import Login, Parameter, Question, Row, Statement
from blocks.users import SOCKETS


class Cluster(BaseModel):
    """A PostgreSQL cluster: Debian's version, name and port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=TRIED[0], description="PostgreSQL's major version.")
    name: ClusterName = Field(default="main", description="Debian's cluster name.")
    port: Port = Field(default=5432, description="The port of the cluster.")
    owner: UserName = Field(
        default="postgres", description="The system user that its files and processes belong to."
    )
    sockets: AbsolutePath = Field(
        default=PurePosixPath("/var/run/postgresql"), description="The folder of its socket."
    )

    def __str__(self) -> str:
        return f"{self.version}/{self.name}"

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.name}.service"

    @property
    def confined(self) -> bool:
        """Whether it has a user of its own, and a socket where nobody else can go."""
        return self.sockets.parent == SOCKETS

    @property
    def config_dir(self) -> PurePosixPath:
        return PurePosixPath("/etc/postgresql", str(self.version), self.name)

    @property
    def bin_dir(self) -> PurePosixPath:
        return PurePosixPath("/usr/lib/postgresql", str(self.version), "bin")

    def query(
        self, shell: Shell, sql: Statement, *parameters: Parameter, timeout_seconds: float = 60
    ) -> list[Row]:
        """Ask as the superuser; a question whose session ended may be asked once more.

        Raise StatementFailed where PostgreSQL says no or does not answer. There is no other
        database here: no superuser of ours enters one in which customers can make things.
        """
        return shell.ask(self.login, Question(sql, parameters, timeout_seconds=timeout_seconds))

    def value(
        self, shell: Shell, sql: Statement, *parameters: Parameter, timeout_seconds: float = 60
    ) -> str:
        """Ask for one value, as text; null is the empty string."""
        return text(self.query(shell, sql, *parameters, timeout_seconds=timeout_seconds))

    def execute(
        self,
        shell: Shell,
        sql: Statement,
        *parameters: Parameter,
        timeout_seconds: float = 60,
        settings: Mapping[str, str] | None = None,
    ) -> str:
        """Run a statement that changes something as the superuser: at most once.

        `settings` hold for this statement alone.
        """
        asked = Question(
            sql, parameters, acts=True, timeout_seconds=timeout_seconds, settings=settings or {}
        )
        return text(shell.ask(self.login, asked))

    @property
    def login(self) -> Login:
        """The superuser's, over the cluster's own socket."""
        return Login(
            cluster=str(self),
            unit=self.unit,
            version=self.version,
            user=self.owner,
            where=f"{self.sockets}/.s.PGSQL.{self.port}",
        )

    def login_of(self, role: str, *, user: str, database: str, password: str = "") -> Login:
        """A customer's role in a database of its own: by peer, or with a password on loopback."""
        where = f"127.0.0.1:{self.port}" if password else self.login.where
        return replace(
            self.login, user=user, where=where, role=role, database=database, superuser=False,
            password=password,
        )  # fmt: skip


def text(rows: Sequence[Row]) -> str:
    """Say the first value as PostgreSQL does.

    >>> text([{"a": True}]), text([{"a": None}]), text([{"a": 3}]), text([])
    ('t', '', '3', '')
    """
    first = next(iter(rows[0].values()), None) if rows else None
    if isinstance(first, bool):
        return "t" if first else "f"
    return "" if first is None else str(first).strip()
