"""A PostgreSQL cluster as Debian packages it."""

from pathlib import PurePosixPath
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from blocks.answers import rows
from blocks.errors import CommandFailed
from blocks.names import AbsolutePath, ClusterName, Port, UserName
from blocks.shell import Completed, Shell

Row: TypeAlias = "dict[str, str | int | float | bool | None]"
# How psql ends (its manual, "Exit Status").
NO_CONNECTION, NO_STATEMENT = 2, 3
MARKS = ("ERROR:", "FATAL:", "error:")


class Cluster(BaseModel):
    """A PostgreSQL cluster: Debian's version, name and port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=12, le=18, description="PostgreSQL's major version.")
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
    def config_dir(self) -> PurePosixPath:
        return PurePosixPath("/etc/postgresql", str(self.version), self.name)

    @property
    def bin_dir(self) -> PurePosixPath:
        return PurePosixPath("/usr/lib/postgresql", str(self.version), "bin")

    def query(self, shell: Shell, sql: str, *, database: str = "postgres") -> list[Row]:
        """Ask as the superuser, over the cluster's own socket."""
        wrapped = f"SELECT coalesce(json_agg(t), '[]') FROM ({sql}) AS t"
        said = self.execute(shell, wrapped, database=database)
        return rows(said, f"what PostgreSQL {self} on {shell.host} answers")

    def value(self, shell: Shell, sql: str, *, database: str = "postgres") -> str:
        """Ask for one value, as text; null is the empty string."""
        return self.execute(shell, sql, database=database).strip()

    def execute(
        self,
        shell: Shell,
        sql: str,
        *,
        database: str = "postgres",
        timeout_seconds: float = 60,
    ) -> str:
        """Run statements as the superuser; they travel by standard input, never in argv."""
        argv = (
            "env", f"PGDATABASE={database}", f"PGHOST={self.sockets}", "PGUSER=postgres",
            "PGCONNECT_TIMEOUT=10",
            # Relevo's own statements wait for no standby: they are run while one is away, too.
            "PGOPTIONS=-c log_statement=none -c synchronous_commit=local",
            # Debian's own psql is a script that looks for this program, for 50 ms a question.
            str(self.bin_dir / "psql"), "-p", str(self.port), "-XqAt", "-v", "ON_ERROR_STOP=1",
        )  # fmt: skip
        done = shell.run(
            argv, user=self.owner, stdin=sql, check=False, timeout_seconds=timeout_seconds
        )
        if done.status != 0:
            raise self._complaint(shell, done)
        return done.stdout

    def _complaint(self, shell: Shell, done: Completed) -> CommandFailed:
        """Say what psql complains of, without the command line around it."""
        named = f"PostgreSQL {self} on {shell.host}"
        if done.status == NO_CONNECTION:
            return CommandFailed(
                f"{named} does not answer: {reason(done.stderr)}",
                hint=f"systemctl status {self.unit} there",
            )
        if done.status == NO_STATEMENT:
            return CommandFailed(f"{named} refused a statement: {reason(done.stderr)}")
        return shell.complaint(done)


def reason(said: str) -> str:
    r"""Find the line that counts in what psql says: the last one that names an error.

    >>> reason("psql: error: could not connect to server: No such file\n\tIs the server running?")
    'could not connect to server: No such file'
    >>> reason('ERROR:  relation "x" does not exist\nLINE 1: SELECT * FROM x\n')
    'ERROR: relation "x" does not exist'
    """
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if any(mark in line for mark in MARKS)]
    found = (errors or lines or ["it says nothing"])[-1]
    return found.removeprefix("psql: error: ")
