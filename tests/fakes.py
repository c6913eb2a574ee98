"""A host that is a table of answers: what is not in the table must not be asked.

A question is a command in one line, as a person would say it: the SQL for psql, `read PATH` or
`install PATH ...` for our own scripts, and the command line for everything else.
"""

import fnmatch
import re
import shlex
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import paramiko
import pytest

from blocks.errors import CommandFailed, RelevoError
from blocks.shell import Completed, Shell

# What is said (text), how it ended (a status), or how it went wrong; a list is used up in order,
# and its last entry stays.
Answer: TypeAlias = "str | int | RelevoError | list[str | int | RelevoError]"

WRAPPED = re.compile(r"SELECT coalesce\(json_agg\(t\), '\[\]'\) FROM \((.*)\) AS t", re.DOTALL)
LOOKS = (
    "pg_lsclusters --no-header", "look *", "SELECT *", "read /*", "test *", "true",
    "lacking *", "missing *", "receipts *", "outdated *", "\\connect *", "systemctl is-active *",
    "systemctl show *", "ss -Hltn *", "df *", "du *", "date *", "getent *", "id -gn *",
)  # fmt: skip
SELECTS_THAT_ACT = re.compile(
    r"SELECT .*pg_(reload|promote|create|drop|terminate|cancel|switch|wal_replay_[pr])"
)


def question(argv: Sequence[str], stdin: str = "") -> str:
    """Say a command in one line.

    >>> question(("env", "psql", "-X"), "SELECT coalesce(json_agg(t), '[]') FROM (SELECT 1) AS t")
    'SELECT 1'
    >>> question(("sh", "-c", "cat $1", "read", "/etc/odoo.conf"))
    'read /etc/odoo.conf'
    >>> question(("systemctl", "stop", "odoo.service"))
    'systemctl stop odoo.service'
    """
    if argv[0] == "env" and any(word.endswith("psql") for word in argv):
        found = WRAPPED.fullmatch(stdin)
        return found[1] if found else stdin
    if argv[0] in {"sh", "bash"} and argv[1] == "-c" and len(argv) > 3:
        return " ".join(argv[3:])
    return shlex.join(argv)


def is_look(asked: str) -> bool:
    """Tell whether a question leaves its host as it was.

    >>> is_look("SELECT pg_is_in_recovery()"), is_look("SELECT pg_reload_conf()")
    (True, False)
    >>> is_look("CHECKPOINT"), is_look("pg_ctlcluster 13 vps_1 promote")
    (False, False)
    """
    if SELECTS_THAT_ACT.search(asked):
        return False
    return any(fnmatch.fnmatchcase(asked, look) for look in LOOKS)


@dataclass
class FakeHost:
    """A host with answers; keys may hold * for any text, and the first that fits is taken."""

    name: str
    answers: Mapping[str, Answer] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    @property
    def changes(self) -> list[str]:
        """What was run that could have changed something."""
        return [asked for asked in self.ran if not is_look(asked)]

    def shell(self) -> Shell:
        return FakeShell(self)

    def answer(self, asked: str) -> str | int | RelevoError:
        self.ran.append(asked)
        for pattern, answer in self.answers.items():
            if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), asked, re.DOTALL):
                if isinstance(answer, list):
                    return answer.pop(0) if len(answer) > 1 else answer[0]
                return answer
        pytest.fail(f"{self.name} was asked what its table does not hold: {asked}")


class FakeShell:
    """The protocol of blocks.shell over a host's table."""

    def __init__(self, fake: FakeHost) -> None:
        self.fake = fake
        self.host = fake.name

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",  # noqa: ARG002  # the protocol's
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = 60,  # noqa: ARG002  # the protocol's
    ) -> Completed:
        answer = self.fake.answer(question(argv, stdin))
        if isinstance(answer, RelevoError):
            raise answer
        status = answer if isinstance(answer, int) else 0
        done = Completed(tuple(argv), status, answer if isinstance(answer, str) else "", "")
        if check and status != 0:
            raise self.complaint(done)
        return done

    def complaint(self, done: Completed) -> CommandFailed:
        return CommandFailed(f"{done.argv[0]} failed on {self.host} with status {done.status}")

    def dial(self, port: int) -> socket.socket:
        pytest.fail(f"{self.host} was dialled on port {port}")

    def hold(self, argv: Sequence[str]) -> paramiko.Channel:
        answer = self.fake.answer(question(argv))
        if isinstance(answer, RelevoError):
            raise answer
        return cast("paramiko.Channel", FakeChannel(str(answer)))


class FakeChannel:
    """The far end of a held command, which says one line and lives until it is closed."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.closed = False

    def makefile(self, mode: str) -> "FakeChannel":  # noqa: ARG002  # paramiko's
        return self

    def readline(self) -> str:
        return f"{self.line}\n"

    def sendall(self, data: bytes) -> None:  # noqa: ARG002  # paramiko's
        if self.closed:
            raise OSError("Socket is closed")

    def settimeout(self, seconds: float) -> None:
        """Wait no longer than this; nothing here ever waits."""

    def exit_status_ready(self) -> bool:
        return self.closed

    def recv_exit_status(self) -> int:
        return 0

    def get_transport(self) -> "FakeChannel":
        return self

    def close(self) -> None:
        self.closed = True
