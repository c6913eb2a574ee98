"""Commands on another host: what is asked, how it is rendered, and how it ended."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from blocks import sql
from blocks.errors import Busy, CommandFailed
from blocks.plain import plain
from blocks.turn import Kind, Turn

if TYPE_CHECKING:
    import paramiko

# What a host may say. It may be in somebody else's hands, and one process serves all customers.
SAID_BYTES = 16 << 20  # by a command
TAIL = 4000


@dataclass(frozen=True)
class Completed:
    """How a command ended."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def tail(self) -> str:
        """The last ten lines that it said, the errors if there were any."""
        output = self.stderr.strip() or self.stdout.strip()
        return plain("\n".join(output.splitlines()[-10:]), lines=True, longest=TAIL)


class Shell(Protocol):
    """Commands on one host, as any of its users."""

    host: str

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = 60,
        limit_bytes: int = SAID_BYTES,
    ) -> Completed:
        """Run a command to its end; raise CommandFailed when it says no, or too much."""

    def complaint(self, done: Completed) -> CommandFailed:
        """Say that a command has failed, as run() does when it checks."""

    def ask(self, login: sql.Login, question: sql.Question) -> list[sql.Row]:
        """Ask PostgreSQL on the host; raise StatementFailed when it says no (blocks/session.py)."""

    def is_open(self) -> bool:
        """Tell whether this process has a connection to the host already."""

    def hold(self, argv: Sequence[str]) -> "paramiko.Channel":
        """Start a command as root, over a connection of its own that lives until it is closed."""


# What a login's own files print stands before this line, and is not the command's; their umask
# and language are not ours.
BEGINS = "relevo-begins"
BEGIN = f'umask 022; export LC_ALL=C; echo {BEGINS}; echo {BEGINS} >&2; exec "$@"'


def command_line(
    argv: Sequence[str], *, user: str, login: str, mine: Turn | None = None, kind: Kind = "ends"
) -> str:
    """Render what sshd hands to the login shell; root judges a turn before the command begins.

    >>> command_line(("psql", "-c", "SELECT 1"), user="postgres", login="admin").replace(BEGIN, "B")
    "cd / && exec sudo -n -H -u postgres -- sh -c 'B' sh psql -c 'SELECT 1'"
    >>> command_line(("id",), user="root", login="root").replace(BEGIN, "B")
    "cd / && exec sh -c 'B' sh id"
    >>> command_line(("id",), user="odoo", login="root").replace(BEGIN, "B")
    "cd / && exec runuser -u odoo -- sh -c 'HOME=~odoo; B' sh id"
    >>> from blocks.turn import JUDGE
    >>> line = command_line(("id",), user="odoo", login="admin", mine=Turn("vps_1", "7"))
    >>> line.split("turn vps_1")[0].replace(JUDGE, "J")
    "cd / && exec sudo -n -H -u root -- sh -c 'J' "
    >>> line.split("turn vps_1")[1].replace(BEGIN, "B")
    " 7 ends runuser -u odoo -- sh -c 'HOME=~odoo; B' sh id"
    """
    if mine is not None:
        inner = ("sh", "-c", BEGIN, "sh", *argv)
        judged = mine.judged(inner if user == "root" else _by_root(user, argv), kind)
        become = () if login == "root" else ("sudo", "-n", "-H", "-u", "root", "--")
        return "cd / && exec " + shlex.join((*become, *judged))
    if user == login:
        whole: tuple[str, ...] = ("sh", "-c", BEGIN, "sh", *argv)
    elif login == "root":
        whole = _by_root(user, argv)
    else:
        whole = ("sudo", "-n", "-H", "-u", user, "--", "sh", "-c", BEGIN, "sh", *argv)
    return "cd / && exec " + shlex.join(whole)


def _by_root(user: str, argv: Sequence[str]) -> tuple[str, ...]:
    return ("runuser", "-u", user, "--", "sh", "-c", f"HOME=~{user}; {BEGIN}", "sh", *argv)


def own_words(output: str) -> str:
    r"""Leave out what a login's own files printed before the command began.

    >>> own_words("Welcome!\nrelevo-begins\n1\n"), own_words("sudo: a password is required\n")
    ('1\n', 'sudo: a password is required\n')
    """
    before, begins, after = output.partition(f"{BEGINS}\n")
    return after if begins else before


def turn_stuck(instance: str, host: str, said: str) -> Busy:
    """Say that a command of the run before cannot be ended."""
    process = plain(" ".join(said.split()[1:]), longest=TAIL)
    return Busy(
        f"a command of the previous run is still running on {host}, and does not end: {process}",
        hint=f"see what that process waits for on {host} (a disk that hangs?), end it, and retry "
        f"this run of {instance}",
    )
