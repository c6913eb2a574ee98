"""A host that is a table of answers: what is not in the table must not be asked.

A question is a command in one line, as a person would say it: the SQL for PostgreSQL with its
values behind it, `read PATH` or `install PATH ...` for our own programs, and the command line for
everything else.
"""

import base64
import fnmatch
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import paramiko
import pytest

from blocks import at_hand, sql
from blocks.errors import CommandFailed, RelevoError, StatementFailed
from blocks.shell import Completed, Shell
from tasks.host import files

# What is said (text), how it ended (a status), or how it went wrong; a list is used up in order,
# and its last entry stays.
Answer: TypeAlias = "str | int | RelevoError | list[str | int | RelevoError]"

LOOKS = (
    "pg_lsclusters --no-header", "look *", "SELECT", "SELECT *", "read /*", "test *", "true",
    "lacking *", "missing *", "configured *", "listens *", "receipts *", "outdated *",
    "systemctl is-active *", "systemctl is-enabled *", "started *",
    "bound *", "elsewhere *", "wal-is *", "layout *", "same *", "side *", "tools *",
    "locale -a", "grep *", "stat *", "findmnt *", "nginx -T", "/usr/sbin/sshd -T *",
    "outside *", "systemctl show *", "ss -Hltn *", "df *", "du *", "date *", "getent *", "id -gn *",
)  # fmt: skip
# What the program for files is asked, in the words that one would type.
TYPED = {"exists": "test -e", "remove": "rm -f", "remove_tree": "rm -rf --one-file-system"}
ASIDE = re.compile(r"find \S+ -maxdepth 1 -name '\S+\.\*' -print0")
LEDGER = tuple(f"{verb} /var/lib/relevo/ports.json" for verb in ("read", "install", "test -e"))
LEDGER_ASKED = {*LEDGER, LEDGER[1] + " *"}
SELECTS_THAT_ACT = re.compile(
    r"SELECT .*pg_(reload|promote|create|drop|terminate|cancel|switch|wal_replay_[pr])"
)


def question(argv: Sequence[str]) -> str:
    """Say a command in one line.

    >>> question(("sh", "-c", "cat $1", "read", "/etc/odoo.conf"))
    'read /etc/odoo.conf'
    >>> question((*files.BEGIN, "exists", "/etc/odoo.conf"))
    'test -e /etc/odoo.conf'
    >>> question(("systemctl", "stop", "odoo.service"))
    'systemctl stop odoo.service'
    """
    if is_about_files(argv):
        verb, *words = argv[len(files.BEGIN) :]
        return " ".join((TYPED.get(verb, verb), *words))
    argv = argv[next((at for at, word in enumerate(argv) if word in {"sh", "bash"}), 0) :]
    if argv[0] in {"sh", "bash"} and argv[1] == "-c" and len(argv) > 3:
        said = argv[3:7] if argv[3] == "hold" else argv[3:]  # without what may be ended for it
        return " ".join(said)
    return shlex.join(argv)


def is_about_files(argv: Sequence[str]) -> bool:
    return tuple(argv[: len(files.BEGIN)]) == files.BEGIN


def statement(login: sql.Login, asked: sql.Question) -> str:
    """Say a question to PostgreSQL in one line, with its values and a customer's database.

    >>> from blocks.cluster import Cluster
    >>> login = Cluster(version=13).login
    >>> statement(login, sql.Question("SELECT $1,\\n  $2", ("vps_1", ["a", "b"])))
    "SELECT $1, $2 <- 'vps_1', ['a', 'b']"
    """
    text = asked.sql if isinstance(asked.sql, str) else asked.sql.as_string(None)
    said = " ".join(text.split())
    if values := [*asked.settings.items(), *asked.parameters]:
        said += f" <- {', '.join(map(repr, values))}"
    return said if login.superuser else f"{said} @{login.database}"


def rows(login: sql.Login, said: str) -> list[sql.Row]:
    """Read an answer: rows as JSON, or one value as it is printed."""
    if said.startswith(("[", "{")):
        found: list[sql.Row] = json.loads(said)
        return found
    return [{login.database: said.strip()}]


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
    history: str = ""
    wrote: list[str] = field(default_factory=list)
    commands: int = 0  # each of which may ask several things

    @property
    def changes(self) -> list[str]:
        """What was run that could have changed something."""
        return [asked for asked in self.ran if not is_look(asked)]

    def shell(self) -> Shell:
        return FakeShell(self)

    def answer(self, asked: str) -> str | int | RelevoError:
        if (everywhere := self._asked_everywhere(asked)) is not None:
            return everywhere  # type: ignore[return-value]  # no list is among them
        self.ran.append(asked)
        if asked.startswith("id -gn "):
            return f"{asked.rsplit(maxsplit=1)[-1]}\n"
        for pattern, answer in self.answers.items():
            if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), asked, re.DOTALL):
                if isinstance(answer, list):
                    return answer.pop(0) if len(answer) > 1 else answer[0]
                return answer
        if asked.startswith("read-history ") or ASIDE.fullmatch(asked):
            return ""  # nothing was done yet, and nothing was kept aside
        pytest.fail(f"{self.name} was asked what its table does not hold: {asked}")

    def _asked_everywhere(self, asked: str) -> "Answer | None":
        """Answer what every flow asks or tells, so that no table has to hold it."""
        if asked.startswith("note-history "):  # see `history`
            return self.answers.get("note-history *", "")
        if asked.startswith("linked "):  # their units are files
            return self.answers.get("linked *", "")
        if asked.startswith("users "):  # these instances have users of theirs
            return ""
        if asked.startswith(LEDGER) and LEDGER_ASKED.isdisjoint(self.answers):
            return int(asked.startswith("test")) or ""  # no instance has noted any ports here
        return None


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
        limit_bytes: int = 0,  # noqa: ARG002  # the protocol's
    ) -> Completed:
        at_hand.forget(self.host)
        before = self.fake.commands
        self.fake.commands += 1
        if tuple(argv) == (*files.BEGIN, "together"):
            said = "".join(map(self._one, stdin.removeprefix(files.PROGRAM).splitlines()))
            self.fake.commands = 1 + before
            return Completed(tuple(argv), 0, said, "")
        answer = self.fake.answer(question(argv))
        if isinstance(answer, RelevoError):
            raise answer
        status = answer if isinstance(answer, int) else 0
        said = answer if isinstance(answer, str) else ""
        if question(argv).startswith("note-history "):
            self.fake.history += stdin
        if is_about_files(argv) and argv[len(files.BEGIN)] == "install":
            packed = stdin.removeprefix(files.PROGRAM)
            self.fake.wrote.append(base64.b64decode(packed).decode(errors="surrogateescape"))
        if is_about_files(argv) and argv[len(files.BEGIN)] == "read":
            said = base64.b64encode(said.encode()).decode()
        done = Completed(tuple(argv), status, said, "")
        if check and status != 0:
            raise self.complaint(done)
        return done

    def _one(self, line: str) -> str:
        """Do one of several things, as if it had been asked alone."""
        verb, *words = (base64.b64decode(each).decode() for each in line.split(" "))
        if verb == "set_aside":  # nothing stands in the place of a receipt here
            return "0  \n"
        if verb == "run":
            done = self.run(words, check=False)
        elif verb == "install":
            done = self.run((*files.BEGIN, verb, *words[:4]), stdin=words[4], check=False)
        else:
            done = self.run((*files.BEGIN, verb, *words), check=False)
        said, wrong = (base64.b64encode(t.encode()).decode() for t in (done.stdout, done.stderr))
        return f"{done.status} {said} {wrong}\n"

    def complaint(self, done: Completed) -> CommandFailed:
        return CommandFailed(
            f"{done.argv[0]} failed on {self.host} with status {done.status}",
            status=done.status,
            argv=done.argv,
            last_lines=done.tail.splitlines(),
        )

    def ask(self, login: sql.Login, question: sql.Question) -> list[sql.Row]:
        if question.acts:
            at_hand.forget(self.host)
        answer = self.fake.answer(statement(login, question))
        if isinstance(answer, RelevoError):
            raise answer
        if isinstance(answer, int):
            raise StatementFailed(f"PostgreSQL {login.cluster} on {self.host} refused a statement")
        return rows(login, answer)

    def is_open(self) -> bool:
        return not isinstance(self.fake.answers.get("*"), RelevoError)

    def hold(self, argv: Sequence[str]) -> paramiko.Channel:
        answer = self.fake.answer(question(argv))
        if isinstance(answer, RelevoError):
            raise answer
        return cast("paramiko.Channel", FakeChannel(str(answer)))


class FakeChannel:
    """The far end of a held command, which says one line and lives until it is closed."""

    def __init__(self, line: str) -> None:
        self.left = f"{line}\n".encode()
        self.closed = self.left_alone = False

    def recv(self, size: int) -> bytes:
        said, self.left = self.left[:size], self.left[size:]
        return said

    def sendall(self, data: bytes) -> None:
        if self.closed:
            raise OSError("Socket is closed")
        self.left += data  # a beat is answered
        self.left_alone = data == b"bye\n"

    def settimeout(self, seconds: float | None) -> None:
        """Wait no longer than this; nothing here ever waits."""

    def exit_status_ready(self) -> bool:
        return self.closed or self.left_alone

    def get_transport(self) -> "FakeChannel":
        return self

    def close(self) -> None:
        self.closed = True
