"""The procedures from a shell on the recovery host, with no Prefect server up.

The same flows, guards and lock as behind the buttons; each step is told to the terminal.
"""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from blocks.answers import understood
from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from blocks.names import Language
from blocks.plain import plain
from deployments import log_file
from tasks.authority.situation import Plan, Procedure
from tasks.language.reader import reading, shown, translated, word
from tasks.notices import offline_runs
from tasks.run import question, terminal
from tasks.run.question import Question, Yes

if TYPE_CHECKING:
    from tasks.board.words import Judged

LOG = logging.getLogger("relevo")
YES = "--yes (and --reason, --origin-is-down where something may be lost)"
UNATTENDED = "--set decide=unattended (and reason, origin_is_down where something may be lost)"


def say(text: str) -> None:
    """Print for whoever sits there; what others have named does nothing to the terminal."""
    put(shown(text))


def put(text: str) -> None:
    """Print what is said already in the language of whoever sits there."""
    print(plain(text, lines=True), flush=True)  # noqa: T201


@contextmanager
def journalled(folder: Path, what: str) -> Iterator[Path]:
    """Tell the terminal what happens, and a file of its own as well."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    written, elsewhere = log_file.opened(folder, f"{stamp}-{what}.log")
    path = Path(written.baseFilename)
    told = logging.StreamHandler(sys.stderr)
    for handler in (written, told):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    if elsewhere:
        LOG.warning("%s", elsewhere)
    try:
        with terminal.without_server(str(path)):
            yield path
    finally:
        for handler in (written, told):
            LOG.removeHandler(handler)
            if handler is written:
                handler.close()


def run(instance: OdooInstance, flow: str, folder: Path, values: dict[str, Any]) -> None:
    """Run a flow to its end without a server, and keep its history for the server's return."""
    made = getattr(importlib.import_module(f"flows.{flow}"), flow)
    function: Callable[..., object] = made.fn
    values = checked(made, values)
    with journalled(folder, f"{flow}-{instance.name}") as path:
        try:
            read = instance.model_copy(update={"language": reading()})
            with understood(f"a host's answer about {instance.name}"):
                report = function(read, **values)
        except RelevoError as error:
            LOG.error("%s", error)  # noqa: TRY400  # the sentence is what counts; no traceback
            _keep(instance, flow, ended=error.message, text="", good=False)
            error.hint = f"{error.hint} (the full log is in {path})".strip()
            raise
        markdown = getattr(report, "markdown", lambda: "")()
        _keep(instance, flow, ended="done", text=markdown, good=True)
    say(f"done; the full log is in {path}")


def checked(flow: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Hold values to what the flow takes, as the server would; a typo must not choose a side."""
    hints = get_type_hints(flow.fn, include_extras=True)
    takes = [name for name in hints if name not in {"instance", "return"}]
    if unknown := sorted(set(values) - set(takes)):
        raise Refused(
            f"{flow.name} takes no {', '.join(unknown)}",
            hint=f"give {', '.join(takes) or 'the instance alone'}",
        )
    try:
        return {name: TypeAdapter(hints[name]).validate_python(v) for name, v in values.items()}
    except ValidationError as error:
        said = error.errors(include_url=False)[0]
        raise Refused(
            f"{flow.name} does not accept {said['input']!r} as one of its values: {said['msg']}",
            hint="give --set NAME=VALUE as the form of the deployment shows it",
        ) from None


def _keep(instance: OdooInstance, flow: str, *, ended: str, text: str, good: bool) -> None:
    """Keep the run for Prefect; the log file has it anyway, so a dead host stops nothing here."""
    try:
        offline_runs.keep(instance, flow, ended=ended, text=text, good=good)
    except RelevoError as error:
        LOG.warning("the run is not noted on %s: %s", instance.recovery, error.message)


def drawn(instance: OdooInstance, procedure: Procedure, *, reclone: bool = False) -> Plan:
    """Measure, and change nothing."""
    from tasks.plan import measure  # noqa: PLC0415  # which no failover waits for

    with terminal.without_server():
        return measure.draw(instance, procedure, reclone=reclone)


def say_plan(instance: OdooInstance, procedure: Procedure, *, language: Language) -> int:
    """Print what was measured, and the page by hand: that one also where nothing is measured."""
    from tasks.plan import pages, words  # noqa: PLC0415  # which no failover waits for

    try:
        made = drawn(instance, procedure)
    except RelevoError:
        say(pages.drawn(instance, procedure, language).rstrip("\n"))
        raise
    say(words.page(made, language).rstrip("\n"))
    return code_of(made)


def code_of(made: Plan) -> int:
    """Give the exit code of a plan: refused, or not."""
    return 3 if made.situation.refusals else 0


def ask(
    instance: OdooInstance,
    procedure: Procedure,
    *,
    reason: str,
    by: str,
    instead: str = YES,
    reclone: bool = False,
) -> dict[str, Any]:
    """Show the plan, and have the name typed; a wrong name ends it with nothing changed."""
    from tasks.plan import approval, summary  # noqa: PLC0415  # which no failover waits for

    _require_somebody(instead)
    made = drawn(instance, procedure, reclone=reclone)
    say(summary.summary(made))
    if made.situation.refusals:
        raise Refused(
            "; ".join(made.situation.refusals), hint="fix this first; nothing was changed"
        )
    yes = _obtain(approval.question(made, reason=reason, approved_by=by))
    down = {"origin_is_down": True} if yes.origin_is_down else {}
    return {**down, "reason": yes.reason, "approved_by": yes.approved_by}


def ask_for(instance: OdooInstance, procedure: Procedure, values: dict[str, Any]) -> dict[str, Any]:
    """Ask the same before a flow that has no command of its own; give what it is to be told."""
    reason, by = (str(values.get(name, "")) for name in ("reason", "approved_by"))
    reclone = bool(values.get("reclone"))
    said = ask(instance, procedure, reason=reason, by=by, instead=UNATTENDED, reclone=reclone)
    return {**values, "decide": "unattended", **said}


def confirm(instance: OdooInstance, procedure: str, *, reason: str, by: str) -> Yes:
    """Have somebody say yes to what was just shown."""
    _require_somebody("--yes and --reason")
    return _obtain(Question(procedure, instance.name, reason=reason, approved_by=by))


def _obtain(asked: Question) -> Yes:
    with terminal.without_server():
        return question.ask(asked)


def _require_somebody(instead: str) -> None:
    if not sys.stdin.isatty():
        raise Refused("nobody can be asked: this is not a terminal", hint=f"give {instead}")


def measured(instances: list[OdooInstance]) -> "list[Judged]":
    """Measure all."""
    from tasks.board import board  # noqa: PLC0415  # which no failover waits for

    with terminal.without_server():
        return board.measure(instances)


def say_check(rows: "list[Judged]", line: str) -> None:
    """Say what was measured, its first line as Nagios wants it."""
    print(plain(line))  # noqa: T201  # Nagios reads it, and no person's language changes it
    for measured, colour, why in rows:
        put(f"{word(colour):<7} {measured.instance:<24} {'; '.join(map(translated, why))}")


def keep_pages(instances: list[OdooInstance], rows: "list[Judged]") -> None:
    """Draw the pages by hand anew where they are old."""
    from tasks.board import board  # noqa: PLC0415  # which no failover waits for
    from tasks.plan import pages  # noqa: PLC0415

    with terminal.without_server():
        pages.refresh(board.at_rest(instances, rows))
