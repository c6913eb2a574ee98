"""PostgreSQL's own protocol over the cluster's socket, as far as questions need it.

A process of psql for each database would cost more than all the rest of the engine; a driver is
not to be had on every host. Peer authentication asks for no password. Values go beside the
statement (the extended protocol), and names are looked up in pg_catalog alone.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Iterator, List, Optional, Union  # Python 3.8

from .trouble import ClusterAway, ClusterSaysNo, Trouble

Row = List[Optional[str]]  # an alias is evaluated, by Python 3.8 as well
Value = Union[str, int, List[str]]
PROTOCOL = 196608
LENGTH, COUNT = struct.Struct(">I"), struct.Struct(">H")
CHUNK = 1 << 16
MESSAGE_BYTES = 64 << 20  # a row; the longest of ours names all the files of one folder
ANSWER_BYTES, VALUE_BYTES = (
    512 << 20,
    64,
)  # of an answer in memory; a value takes more than its text
# Classes of SQLSTATE that pass by themselves: a recovery conflict, a shutdown, too many
# connections, a database that is being dropped, a lock that was not to be had in time.
PASSING = ("40", "57", "53", "08", "3D", "55P03")
# What stands in the startup packet beats ALTER DATABASE and ALTER ROLE.
PINNED = {
    "search_path": "pg_catalog,pg_temp",
    "statement_timeout": "1h",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "1h",
    "local_preload_libraries": "",
    "role": "none",
    "row_security": "off",
    "jit": "off",
    "client_min_messages": "warning",
    "DateStyle": "ISO",
    "default_transaction_read_only": "on",
}


class Connection:
    """One session: asked one question at a time, in text."""

    def __init__(
        self, folder: str, port: int, role: str, database: str, *, timeout_seconds: float = 120
    ) -> None:
        self.where = f"{database} at {folder} port {port}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_seconds)
        self.waiting = bytearray()
        try:
            self.socket.connect(f"{folder}/.s.PGSQL.{port}")
            self._start(role, database)
        except OSError as error:
            self.close()
            raise ClusterAway(f"PostgreSQL does not answer for {self.where}: {error}") from error
        except Trouble:
            self.close()
            raise

    def close(self) -> None:
        self.socket.close()

    def ask(self, sql: str, *values: Value) -> list[Row]:
        """Ask one question; give its rows, which are all kept in memory."""
        rows, left = [], ANSWER_BYTES
        for row in self.stream(sql, *values):
            rows.append(row)
            left -= sum(len(value or "") + VALUE_BYTES for value in row)
            if left < 0:
                self.close()  # the rest of them is under way
                raise Trouble(
                    f"PostgreSQL answers a question in {self.where} with more than "
                    f"{ANSWER_BYTES >> 20} MB",
                    "see how many rows of ir_attachment are new there",
                )
        return rows

    def stream(self, sql: str, *values: Value) -> Iterator[Row]:
        """Ask one question; give its rows as they come. All of them have to be taken."""
        try:
            self.socket.sendall(question(sql, values))
            for kind, said in self._until_ready():
                if kind == b"D":
                    yield _row(said)
        except (OSError, EOFError, struct.error) as error:
            self.close()
            raise ClusterAway(f"PostgreSQL hung up on {self.where}: {error}") from error

    @contextlib.contextmanager
    def snapshot(self, begin: str) -> Iterator[None]:
        """See the database as it is at one moment for as long as this lasts."""
        self.ask(begin)
        try:
            yield
        finally:
            with contextlib.suppress(ClusterAway):  # a broken session has ended its transaction
                self.ask("ROLLBACK")

    def _start(self, role: str, database: str) -> None:
        words = {
            "user": role,
            "database": database,
            "application_name": "relevo filestore",
            "client_encoding": "UTF8",
            **PINNED,
        }
        body = "".join(f"{name}\0{value}\0" for name, value in words.items()).encode() + b"\0"
        self.socket.sendall(struct.pack(">II", len(body) + 8, PROTOCOL) + body)
        for kind, said in self._until_ready():
            if kind == b"R" and LENGTH.unpack_from(said)[0] != 0:
                raise Trouble(
                    f"PostgreSQL asks for a password for role {role} in {self.where}",
                    f"let this system user be {role} in pg_hba.conf and pg_ident.conf there "
                    "(replicate does)",
                )

    def _until_ready(self) -> Iterator[tuple[bytes, bytes]]:
        """Read what the server says until it waits again; raise what it complains of."""
        complaint = b""
        while True:
            kind, said = self._message()
            if kind == b"Z":
                break
            if kind == b"E":
                complaint = said
                if _fields(said).get("S") == "FATAL":
                    break
            else:
                yield kind, said
        if complaint:
            fields = _fields(complaint)
            code = fields.get("C", "")
            sentence = f"PostgreSQL says in {self.where}: {fields.get('M', '?')} ({code})"
            if code.startswith(PASSING):
                raise ClusterAway(sentence)
            raise ClusterSaysNo(sentence, code=code)

    def _message(self) -> tuple[bytes, bytes]:
        head = self._take(5)
        size = LENGTH.unpack(head[1:])[0]
        if not LENGTH.size <= size <= MESSAGE_BYTES:
            self.close()  # what follows would be taken for something else
            raise Trouble(
                f"PostgreSQL announces a message of {size} bytes in {self.where}, and no more than "
                f"{MESSAGE_BYTES} are taken",
                "see which row of ir_attachment there is that long",
            )
        return head[:1], self._take(size - LENGTH.size)

    def _take(self, size: int) -> bytes:
        while len(self.waiting) < size:
            got = self.socket.recv(max(CHUNK, size - len(self.waiting)))
            if not got:
                raise EOFError("the connection has ended")
            self.waiting += got
        taken = bytes(self.waiting[:size])
        del self.waiting[:size]
        return taken


def question(sql: str, values: tuple[Value, ...]) -> bytes:
    r"""Parse, Bind, Execute and Sync in one go: the unnamed statement, planned for these values.

    >>> question("SELECT $1", ("a",))[:18]
    b'P\x00\x00\x00\x11\x00SELECT $1\x00\x00\x00'
    >>> question("SELECT $1", ("a",))[18:]
    b'B\x00\x00\x00\x11\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00E\x00\x00\x00\t\x00\x00\x00\x00\x00S\x00\x00\x00\x04'
    """
    given = b"".join(LENGTH.pack(len(each)) + each for each in map(_text, values))
    return b"".join((
        _framed(b"P", b"\0" + sql.encode() + b"\0" + COUNT.pack(0)),
        _framed(b"B", b"\0\0" + COUNT.pack(0) + COUNT.pack(len(values)) + given + COUNT.pack(0)),
        _framed(b"E", b"\0" + LENGTH.pack(0)),
        _framed(b"S", b""),
    ))  # fmt: skip


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + LENGTH.pack(len(body) + 4) + body


def _text(value: Value) -> bytes:
    r"""Write a value as PostgreSQL reads it.

    >>> _text(["a", 'b"c\\'])
    b'{"a","b\\"c\\\\"}'
    """
    if isinstance(value, list):
        quoted = (each.replace("\\", "\\\\").replace('"', '\\"') for each in value)
        return ("{" + ",".join(f'"{each}"' for each in quoted) + "}").encode()
    return str(value).encode()


def _row(said: bytes) -> Row:
    """Take a row apart.

    >>> _row(bytes([0, 2, 0, 0, 0, 1]) + b"a" + bytes([255, 255, 255, 255]))
    ['a', None]
    """
    values: Row = []
    at = 2
    for _ in range(int.from_bytes(said[:2], "big")):
        size = int.from_bytes(said[at : at + 4], "big", signed=True)
        at += 4
        if size < 0:
            values.append(None)
        else:
            values.append(said[at : at + size].decode("utf-8", "replace"))
            at += size
    return values


def _fields(said: bytes) -> dict[str, str]:
    r"""Take a complaint apart.

    >>> _fields(b"SERROR\0C40001\0Mconflict\0\0")
    {'S': 'ERROR', 'C': '40001', 'M': 'conflict'}
    """
    parts = said.decode("utf-8", "replace").split("\0")
    return {part[0]: part[1:] for part in parts if part}


class Cluster:
    """A cluster's sessions: a few are kept open, the one that rested longest is closed first."""

    KEPT = 8

    def __init__(self, folder: str, port: int, role: str) -> None:
        self.folder, self.port, self.role = folder, port, role
        self.sessions: dict[str, Connection] = {}

    def ask(self, database: str, sql: str, *values: Value) -> list[Row]:
        return self.session(database).ask(sql, *values)

    def session(self, database: str) -> Connection:
        """The open session of a database, opened if there is none."""
        kept = self.sessions.pop(database, None)
        if kept is None or kept.socket.fileno() < 0:
            while len(self.sessions) >= self.KEPT:
                self.sessions.pop(next(iter(self.sessions))).close()
            kept = Connection(self.folder, self.port, self.role, database)
        self.sessions[database] = kept
        return kept

    def close(self) -> None:
        """Leave no session behind: one would stand in the way of a DROP DATABASE."""
        while self.sessions:
            self.sessions.popitem()[1].close()
