"""What can go wrong, sorted by what the operator does next.

RelevoError
 +-- Unreachable    the host did not answer: try again
      +-- ShutOut      it was not silent: a key or a login is not right
           +-- LoginRefused  the host itself, known by its key, does not let us in
 +-- CommandFailed  the host answered, and said no: read it
      +-- StatementFailed  PostgreSQL did
 +-- Refused        going on would lose or break something: decide
      +-- Busy      another procedure holds the instance: wait
"""

import logging
from collections.abc import Sequence

from blocks.plain import plain

LONGEST = 20_000
# The loggers by which Prefect says that a run or a step has failed.
CATCHING = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


class RelevoError(Exception):
    """A sentence for the operator, and what to do next.

    What a server or a customer has said in it is shown, and does nothing to a terminal. Picklable,
    because Prefect carries exceptions across processes.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        message = plain(message, lines=True, longest=LONGEST)
        hint = plain(hint, lines=True, longest=LONGEST)
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """
        >>> print(RelevoError("no slot on uno", hint="run basebackup"))
        no slot on uno
        HINT: run basebackup
        """
        return f"{self.message}\nHINT: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[RelevoError], message: str, hint: str) -> RelevoError:
    return kind(message, hint=hint)


class Sentences(logging.Filter):
    """Says an error of ours by its sentence and its HINT; what is a fault keeps its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RelevoError):
            record.msg, record.args = "%s", (str(error),)
            record.exc_info = record.exc_text = None
        return True


def speak_plainly() -> None:
    """Let Prefect log our own errors as sentences, wherever it catches them."""
    for name in CATCHING:
        logging.getLogger(name).addFilter(SENTENCES)


SENTENCES = Sentences()


class Unreachable(RelevoError):
    """The host did not answer."""


class ShutOut(Unreachable):
    """A host cannot be asked for a key or a login that is not right: it was not silent."""


class LoginRefused(ShutOut):
    """The host itself answers, known by its key, and does not let us in: it is alive."""


class CommandFailed(RelevoError):
    """The host answered, and said no.

    Where a command ended by itself, `status` is how; code decides by that, never by the sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        argv: Sequence[str] = (),
        last_lines: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.argv = tuple(argv)
        self.last_lines = tuple(plain(line, lines=True, longest=LONGEST) for line in last_lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_command, (
            self.message, self.hint, self.status, self.argv, self.last_lines,
        )  # fmt: skip


def _rebuild_command(
    message: str,
    hint: str,
    status: int | None,
    argv: tuple[str, ...],
    last_lines: tuple[str, ...],
) -> CommandFailed:
    return CommandFailed(message, hint=hint, status=status, argv=argv, last_lines=last_lines)


class StatementFailed(CommandFailed):
    """PostgreSQL said no, with an SQLSTATE, or did not answer."""

    def __init__(self, message: str, *, hint: str = "", sqlstate: str = "") -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_statement, (self.message, self.hint, self.sqlstate)


def _rebuild_statement(message: str, hint: str, sqlstate: str) -> StatementFailed:
    return StatementFailed(message, hint=hint, sqlstate=sqlstate)


class Refused(RelevoError):
    """Going on would lose or break something."""


class Busy(Refused):
    """Another procedure holds this instance."""
