"""Who watches a procedure: a page of Prefect's, or a terminal.

What a procedure has to say or to ask goes through the desk, so that no step asks who is there.
"""

import functools
import logging
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from blocks.instance import OdooInstance
from blocks.runtime import SHELL, Flow

if TYPE_CHECKING:
    from tasks.run.question import Question, Yes
    from tasks.run.step import Step

P = ParamSpec("P")
R = TypeVar("R")
Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


@dataclass(frozen=True)
class Run:
    """A run of Prefect's."""

    id: str
    created: datetime | None
    times: int
    tags: tuple[str, ...]
    is_deployed: bool
    by_schedule: bool = False


class Desk(Protocol):
    """Who watches a procedure, and what can be done there."""

    @property
    def journal(self) -> str:
        """Name the file in which all is kept; the empty string where a page keeps it."""
        ...

    @property
    def asks(self) -> bool:
        """Tell whether a flow may wait here for somebody's yes."""
        ...

    @property
    def tries(self) -> int:
        """How often an answer may be wrong."""
        ...

    @property
    def again(self) -> str:
        """What to do after answers that were all wrong."""
        ...

    @property
    def emits(self) -> bool:
        """Tell whether events that leave here reach anybody."""
        ...

    def run(self) -> Run | None:
        """Give the run of Prefect's that this is a part of."""
        ...

    def begin(self, flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a procedure."""
        ...

    def end(self, ended: object) -> object | None:
        """Say how a procedure ended, by what it gave or by its error; None where nobody reads."""
        ...

    def take(self, step: "Step[P, R]", *args: P.args, **kwargs: P.kwargs) -> R:
        """Take one step; try again only when a host did not answer."""
        ...

    def log(self) -> Logger:
        """Give the logger that whoever watches reads."""
        ...

    def show(self, text: str, *, key: str, title: str) -> None:
        """Show a page under a key, where its history is kept; a terminal has the log."""
        ...

    def progress(self, what: str) -> Callable[[float], None]:
        """Make a listener that shows how many percent are done."""
        ...

    def emit(
        self, event: str, resource: dict[str, str], payload: dict[str, str], *, apart: bool
    ) -> None:
        """Let an event leave; one that is `apart` names nothing of the run that it is told in."""
        ...

    def copies(self, instance: OdooInstance, *, on: bool) -> bool:
        """Switch the schedules of an instance; tell whether that can be done here."""
        ...

    def idle(self, instances: Sequence[OdooInstance]) -> set[str]:
        """Name the instances whose copies no schedule runs, as far as is known here."""
        ...

    def links(
        self, instances: Collection[str], *, pressed: Collection[str]
    ) -> dict[str, dict[str, str]]:
        """Give the page of each instance, and those of the buttons of some, by flow."""
        ...

    def ask(self, question: "Question", *, attempt: int, wrong: str, minutes: float) -> "Yes":
        """Have somebody answer, who is told what was wrong with the answer before."""
        ...


DESK: ContextVar[Desk] = ContextVar("desk")


def desk() -> Desk:
    """Give the desk that this runs at: the one that was chosen, or that of whoever runs us."""
    return DESK.get(None) or _usual()


@functools.cache
def _usual() -> Desk:
    if SHELL:
        from tasks.run.terminal import Terminal  # noqa: PLC0415  # it needs this module

        return Terminal()
    from tasks.orchestrator.page import Page  # noqa: PLC0415  # Prefect, which a shell never loads

    return Page()
