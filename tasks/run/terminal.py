"""Break glass: the same steps with no Prefect server, each told to the terminal as it is taken."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from blocks.errors import Refused, RelevoError, ShutOut, Unreachable
from blocks.instance import OdooInstance
from blocks.plain import PLAINLY, plain
from blocks.runtime import Flow
from tasks.language.reader import reading, translated
from tasks.run.desk import DESK, Desk, Logger, Run, desk
from tasks.run.question import Question, Yes
from tasks.run.step import Step

P = ParamSpec("P")
R = TypeVar("R")
RETRY_SECONDS = 5
# What is taken for a yes, in the language that it was asked for in.
AGREED = {"en": {"yes"}, "es": {"sí", "si"}}
NESTED: ContextVar[int] = ContextVar("nested", default=0)
LOG = logging.getLogger("relevo")
LOG.addFilter(PLAINLY)


@dataclass(frozen=True)
class Terminal:
    """A desk without a server; one that stands in a run of Prefect's speaks in that run's log."""

    journal: str = ""
    within: Desk | None = None
    asks: bool = False  # whoever calls a flow here has decided
    tries: int = 1
    again: str = "run it again when you are sure"
    emits: bool = False

    def run(self) -> Run | None:
        return self.within.run() if self.within else None

    def begin(self, flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return flow.fn(*args, **kwargs)

    def end(self, ended: object) -> object | None:  # noqa: ARG002  # the desk's
        return None

    def take(self, step: Step[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        title = step.named(*args, **kwargs)
        return take(title, lambda: step.fn(*args, **kwargs), retries=step.retries)

    def log(self) -> Logger:
        return self.within.log() if self.within else LOG

    def show(self, text: str, *, key: str, title: str) -> None:
        """Show nothing: what is to be read here stands in the log."""

    def progress(self, what: str) -> Callable[[float], None]:  # noqa: ARG002  # the desk's
        return lambda _: None

    def emit(
        self, event: str, resource: dict[str, str], payload: dict[str, str], *, apart: bool
    ) -> None:
        """Tell nobody: the next board sees what was done here, and tells."""

    def copies(self, instance: OdooInstance, *, on: bool) -> bool:  # noqa: ARG002  # the desk's
        return False

    def idle(self, instances: Sequence[OdooInstance]) -> set[str]:  # noqa: ARG002  # the desk's
        return set()

    def links(
        self, instances: Collection[str], *, pressed: Collection[str]
    ) -> dict[str, dict[str, str]]:
        del instances, pressed
        return {}

    def ask(self, question: Question, *, attempt: int, wrong: str, minutes: float) -> Yes:  # noqa: ARG002  # a terminal asks once, and waits as long as somebody sits there
        if question.asks_whether_down:
            _require_down(question)
        return Yes(
            approved_by=question.approved_by or _asked("Who approves it: "),
            reason=question.reason or _asked("Why (the report keeps it): "),
            instance_name=input(
                "\n" + translated(f"Type {question.instance} to begin the {question.procedure}: ")
            ),
            origin_is_down=question.asks_whether_down,
        )


def _asked(what: str) -> str:
    """Ask until something is said: Enter alone is no answer."""
    while not (answer := input(translated(what)).strip()):
        pass
    return answer


def _require_down(question: Question) -> None:
    """Ask what nobody can measure; what is not a yes ends it."""
    doubt = f"\n{plain(translated(question.doubt))}\n" if question.doubt else ""
    asked = translated(
        f"Does another source confirm that {question.origin} is down and stays down, and do you "
        "accept the loss stated above? (yes/no) "
    )
    if input(f"{doubt}\n{asked}").strip().lower() not in AGREED[reading()]:
        raise Refused("not confirmed; nothing was changed", hint="power it off first")


@contextlib.contextmanager
def without_server(journal: str = "") -> Iterator[None]:
    """Let every step in this block run as a plain function; the report names the journal."""
    token = DESK.set(Terminal(journal, within=desk()))
    try:
        yield
    finally:
        DESK.reset(token)


def take(title: str, act: Callable[[], R], *, retries: int) -> R:
    """Take one step and say so; try again only when a host did not answer."""
    indent, depth = "  " * NESTED.get(), NESTED.set(NESTED.get() + 1)
    begun = time.monotonic()
    LOG.info("%s%s", indent, title)
    try:
        for _ in range(retries):
            try:
                return act()
            except Unreachable as error:
                if isinstance(error, ShutOut):
                    raise
                LOG.warning("%s %s; retrying in %d s", indent, error.message, RETRY_SECONDS)
                threading.Event().wait(RETRY_SECONDS)
        return act()
    except RelevoError:
        LOG.error("%s  failed after %.1f s: %s", indent, time.monotonic() - begun, title)  # noqa: TRY400
        raise
    finally:
        NESTED.reset(depth)
        LOG.debug("%s  %.1f s", indent, time.monotonic() - begun)
