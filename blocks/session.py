"""The one door to PostgreSQL: sessions with settings of our own, and bounded answers.

A session in the database postgres is kept for the next question; one in a customer's is closed at
once, for it would stand in the way of a DROP DATABASE.
"""

import atexit
import contextlib
import threading
from collections.abc import Hashable, Iterator

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

from blocks import pinned
from blocks.errors import CommandFailed, StatementFailed
from blocks.lease import boot_seconds, my_turn, require_lease
from blocks.patience import Late
from blocks.plain import plain
from blocks.relay import PORT, Link, Pipes, Relay, leave, reach
from blocks.sql import Composed, Login, Parameter, Question, Row, Statement
from blocks.turn import Turn
from blocks.values import value

CONNECT_SECONDS = 10
GRACE_SECONDS = 10  # PostgreSQL ends a statement by itself before we give up on it
MOST_WORDS = 500
NO_ENTRY = "28"  # the class of SQLSTATE that says who may not come in


class Gone(Exception):
    """A session has ended; was anything of the question on its way?"""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Session:
    """One connection, over the relay of its host."""

    def __init__(self, host: str, login: Login, relay: Relay) -> None:
        self.login, self.relay = login, relay
        self.named = f"PostgreSQL {login.cluster} on {host}"
        self.seconds = 60.0
        self.link = relay.open(login.where)
        try:
            self.connection = _connect(login, self.link, self.seconds)
        except psycopg.Error as error:
            self.link.end()
            relay.require()
            raise self._silent(_reason(self.link, error)) from error
        self.link.meter.end()

    @property
    def lives(self) -> bool:
        idle = TransactionStatus.IDLE
        return (
            self.relay.lives and not self.link.over and not self.connection.closed
            and self.connection.info.transaction_status == idle
        )  # fmt: skip

    def close(self) -> None:
        self.connection.close()
        self.link.end()

    def ask(self, question: Question) -> list[Row]:
        """Ask one question; raise StatementFailed, or Gone, or Late."""
        before = self.link.sent
        self.link.meter.begin()
        self.relay.used = boot_seconds()
        limit = threading.Timer(question.timeout_seconds + GRACE_SECONDS, self._give_up, [question])
        limit.daemon = True
        limit.start()
        try:
            return self._execute(question)
        except psycopg.Error as error:
            raise self._sort(error, before) from error
        except UnicodeEncodeError as error:
            raise StatementFailed(
                f"{self.named} refused a statement: a value in it is not text: {error.reason}"
            ) from error
        except ValueError as error:
            raise StatementFailed(
                f"{self.named} answered with an invalid number: {error}"
            ) from error
        finally:
            limit.cancel()
            self.link.meter.end()

    def _execute(self, question: Question) -> list[Row]:
        if question.timeout_seconds != self.seconds:
            self._set("statement_timeout", f"{question.timeout_seconds * 1000:.0f}", local=False)
            self.seconds = question.timeout_seconds
        if not question.settings:
            return self._run(question.sql, question.parameters)
        with self.connection.transaction():
            for name, value in question.settings.items():
                self._set(name, value, local=True)
            return self._run(question.sql, question.parameters)

    def _set(self, name: str, value: str, *, local: bool) -> None:
        self._run("SELECT set_config($1, $2, $3)", (name, value, local))

    def _run(self, sql: Statement, parameters: tuple[Parameter, ...]) -> list[Row]:
        with psycopg.RawCursor(self.connection) as cursor:
            text = sql if isinstance(sql, Composed) else sql.encode()
            cursor.execute(text, parameters or None)
            return _rows(cursor)

    def _give_up(self, question: Question) -> None:
        self.link.late = True
        self.link.end(f"it did not finish within {question.timeout_seconds:.0f} s")

    def _sort(self, error: psycopg.Error, before: int) -> Exception:
        """Tell a refusal from a session that has ended, and both from what we cut ourselves."""
        link = self.link
        if link.late:
            return Late(link.why)
        if link.too_much:
            return StatementFailed(f"{self.named} answered a question with {link.why}")
        if link.over or self.connection.closed:
            link.end()  # from here on nothing more of it is sent
            return Gone(_reason(link, error), sent=link.sent != before)
        message = f"{error.diag.severity or 'ERROR'}: {error.diag.message_primary or error}"
        return StatementFailed(
            f"{self.named} refused a statement: {_line(message)}", sqlstate=error.sqlstate or ""
        )

    def _silent(self, why: str) -> StatementFailed:
        return silent(self.named, self.login, why, self.link.meter.complaint.get("C", ""))


def silent(named: str, login: Login, why: str, sqlstate: str = "") -> StatementFailed:
    refused = sqlstate.startswith(NO_ENTRY) or "server requested" in why
    return StatementFailed(
        f"{named} {'refused the login' if refused else 'does not answer'}: {why}",
        hint=(
            f"check which line of its pg_hba.conf admits the system user {login.user} as the role "
            f"{login.role}"
        )
        if refused
        else f"run systemctl status {login.unit} there",
        sqlstate=sqlstate,
    )


def _connect(login: Login, link: Link, seconds: float) -> psycopg.Connection:
    """Begin a session; nothing of this machine's environment decides how."""
    told = pinned.settings(
        version=login.version, superuser=login.superuser, writes=login.superuser, seconds=seconds
    )
    return psycopg.connect(
        host=str(link.folder), hostaddr="", port=PORT, user=login.role, dbname=login.database,
        options=pinned.options(told), application_name="relevo", client_encoding="UTF8",
        password=login.password or None, passfile=str(link.folder / "none"),
        require_auth="none" if not login.password else "scram-sha-256,md5",
        sslmode="disable", gssencmode="disable", channel_binding="disable",
        target_session_attrs="any", connect_timeout=CONNECT_SECONDS,
        autocommit=True, prepare_threshold=None,
    )  # fmt: skip


def _reason(link: Link, error: psycopg.Error) -> str:
    """Why a session ended: what PostgreSQL said last, or the relay, or libpq."""
    said = link.meter.complaint
    if said:
        return _line(f"{said.get('S', 'FATAL')}: {said.get('M', '?')}")
    if link.why:
        return _line(link.why)
    return _line(str(error).rpartition("failed: ")[2])


def _line(said: str) -> str:
    """Make one line of what somebody else says."""
    return plain(" ".join(said.split()), longest=MOST_WORDS)


def _rows(cursor: psycopg.RawCursor) -> list[Row]:
    result = cursor.pgresult
    if result is None or result.status != ExecStatus.TUPLES_OK:
        return []
    columns = [
        ((result.fname(at) or b"").decode(errors="replace"), result.ftype(at))
        for at in range(result.nfields)
    ]
    return [
        {
            name: value(result.get_value(row, at), kind)
            for at, (name, kind) in enumerate(columns)
        }
        for row in range(result.ntuples)
    ]  # fmt: skip


_kept: dict[tuple[Hashable, Login, Turn | None], Session] = {}
_lock = threading.Lock()


def ask(pipes: Pipes, login: Login, question: Question) -> list[Row]:
    """Ask one question. Raise StatementFailed where PostgreSQL says no or does not answer.

    Raise CommandFailed where its user or python3 is not there; OSError or EOFError where the
    connection to the host breaks. Whoever lost the lease asks nothing.
    """
    require_lease()
    with _lock:
        session = _kept.pop((pipes.key, login, my_turn()), None)
    if session is not None and session.lives:
        try:
            return _once(pipes, session, question)
        except Gone as gone:
            if question.acts and gone.sent:
                raise _lost(session, gone) from gone
    elif session is not None:
        session.close()
    session = _begin(pipes, login)
    try:
        return _once(pipes, session, question)
    except Gone as gone:
        raise _lost(session, gone) from gone


def _begin(pipes: Pipes, login: Login) -> Session:
    """Begin a session; where a relay has died unnoticed, over a new one."""
    relay = reach(pipes, login.user)
    before = relay.opened
    try:
        return Session(pipes.host, login, relay)
    except (OSError, EOFError):
        relay.close()
        if not before:
            raise
    return Session(pipes.host, login, reach(pipes, login.user))


def forget(pipes: Pipes) -> None:
    """Close what is kept of a host."""
    with _lock:
        ours = [_kept.pop(key) for key in list(_kept) if key[0] == pipes.key]
    for session in ours:
        session.close()


def end_turn(over: Turn) -> None:
    """Close what was begun in a turn: the next one would have to end it."""
    with _lock:
        ours = [_kept.pop(key) for key in list(_kept) if key[2] == over]
    for session in ours:
        session.close()
    leave(over)


@atexit.register
def _close_all() -> None:
    """Say goodbye to PostgreSQL."""
    while _kept:
        _kept.popitem()[1].close()


def _once(pipes: Pipes, session: Session, question: Question) -> list[Row]:
    with _putting_back(pipes, session):
        require_lease()  # to begin a session may have taken its time
        return session.ask(question)


@contextlib.contextmanager
def _putting_back(pipes: Pipes, session: Session) -> Iterator[None]:
    """Keep a session for the next question, or close it."""
    try:
        yield
    finally:
        key = (pipes.key, session.login, session.relay.turn)
        with _lock:
            keep = session.login.kept and session.lives and key not in _kept
            if keep:
                _kept[key] = session
        if not keep:
            session.close()


def _lost(session: Session, gone: Gone) -> CommandFailed:
    session.relay.require()
    return silent(
        session.named, session.login, str(gone), session.link.meter.complaint.get("C", "")
    )
