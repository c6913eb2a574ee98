"""Whether to go on: a yes typed on the page of the run, or one that came with the call.

While somebody reads, nothing is held and nothing is paused: no lock, no schedule. What was
measured may have changed when the yes comes, so the guards of the procedure measure again.

The run pauses, it does not suspend: its process waits, with its imports done and its connections
open, and goes on within a second of the yes. A suspended run would exit and be started anew by the
worker, which costs four to eight seconds of an outage; what it saves is one idle process.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated, Any, Literal, TypeAlias, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.input.run_input import Keyset, keyset_from_base_key
from prefect.states import Running
from pydantic import Field, create_model

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks import bare, plan, record
from tasks.policy import log, step
from tasks.read.plan import Plan, Procedure
from tasks.records import Approval, Decided
from tasks.report import Report, publish_text
from tasks.tags import OWNER
from tasks.text import plan as words
from tasks.timing import Stopwatch

Decide: TypeAlias = Literal["ask", "plan only", "unattended"]
Minutes: TypeAlias = Annotated[float, Field(gt=0, le=24 * 60)]
WAIT_MINUTES = 60
POLL_SECONDS = 1
TRIES = 3


@dataclass(frozen=True)
class Decision:
    """What was decided, by whom and why; the clock of the outage runs from here."""

    go: bool
    origin_is_down: bool
    reason: str
    approved_by: str
    watch: Stopwatch
    report: Report

    @property
    def facts(self) -> dict[str, str]:
        return {
            "reason given": self.reason or "none was needed: nothing is lost",
            "approved by": self.approved_by or "nobody was asked",
        }


class Yes(RunInput):
    """A yes that nobody says by mistake."""

    instance_name: str
    reason: str
    approved_by: str


class Shown:
    """A form that stands on the page already.

    Prefect saves it only after the run has paused: for a moment Resume would show no plan.
    """

    @classmethod
    def save(cls, keyset: Keyset, flow_run_id: UUID | None = None) -> None:
        """Leave what was saved before the pause."""


class YesAtALoss(Yes):
    """A yes to a failover from an origin that does not answer."""

    origin_is_down: bool


def reach(
    instance: OdooInstance,
    procedure: Procedure,
    decide: Decide,
    *,
    origin_is_down: bool = False,
    reason: str = "",
    approved_by: str = "",
    at_a_loss: bool = False,
    wait_minutes: Minutes = WAIT_MINUTES,
) -> Decision:
    """Show what would be done, and find out whether somebody wants it.

    A run that was not started from a page has no page to ask on: who called it has decided.
    """
    require_own_button(instance)
    given = Decision(
        go=True, origin_is_down=origin_is_down, reason=reason, approved_by=approved_by,
        watch=Stopwatch(), report=Report("", {}),
    )  # fmt: skip
    if decide == "unattended" or (decide == "ask" and not _has_a_page()):
        return given
    if (kept := said_before(instance, procedure)) is not None:
        return _decided(given, kept)
    drawn = plan.draw(instance, procedure, at_a_loss=at_a_loss)
    refused, lacking = (
        "; ".join(each) for each in (drawn.situation.refusals, drawn.situation.lacking)
    )
    report = Report(
        f"plan: {procedure} of {instance.name}",
        {
            **words.facts(drawn),
            **({"lacking": lacking} if lacking else {}),
            **({"refused as things are": refused} if refused else {}),
        },
    )
    publish_text(words.summary(drawn), key=f"plan-{procedure}-{instance.name}", title=report.title)
    if decide == "plan only":
        return replace(given, go=False, report=report)
    if refused:
        raise Refused(
            f"{procedure} of {instance.name} is refused: {refused}",
            hint="nothing was changed; mend this (check says more), then press the button again",
        )
    log().info(
        "waiting for a yes: open the menu at the top right of this page, choose Resume, and type "
        "the name %s; after %g minutes without an answer this run ends, with nothing changed",
        instance.name,
        wait_minutes,
    )
    yes = _ask(drawn, wait_minutes)
    said = Approval(
        origin_is_down=origin_is_down or _said_down(yes), reason=yes.reason,
        approved_by=yes.approved_by, watch=Stopwatch(from_now=True).begun,
    )  # fmt: skip
    note(instance, procedure, said)
    return replace(_decided(given, said), report=report)


def _decided(given: Decision, said: Approval) -> Decision:
    return replace(
        given, origin_is_down=said.origin_is_down, reason=said.reason,
        approved_by=said.approved_by,
        watch=Stopwatch(begun=said.watch.isoformat() if said.watch else ""),
    )  # fmt: skip


@step("note the yes to the {procedure} of {instance.name}")
def note(instance: OdooInstance, procedure: Procedure, said: Approval) -> None:
    """Write down on the recovery host what was said to this run, so that a retry goes on."""
    noted = Decided(run=_run_id(), procedure=procedure, said=said)
    record.write(instance.recovery, instance, noted)


@step("find out whether the {procedure} of {instance.name} was decided before")
def said_before(instance: OdooInstance, procedure: Procedure) -> Approval | None:
    """The yes that was said to this very run before it was retried.

    The guards of the procedure judge the facts anew: a loss that was not accepted is refused.
    """
    kept = record.read(instance.recovery, instance, Decided)
    if kept is None or (kept.run, kept.procedure) != (_run_id(), procedure):
        return None
    return kept.said


def _run_id() -> str:
    run = FlowRunContext.get()
    return str(run.flow_run.id) if run and run.flow_run else ""


def _has_a_page() -> bool:
    run = FlowRunContext.get()
    return not bare.alone() and bool(run and run.flow_run and run.flow_run.deployment_id)


def require_own_button(instance: OdooInstance) -> None:
    """Refuse to act on one instance by the button of another."""
    run = FlowRunContext.get()
    tags = run.flow_run.tags if run and run.flow_run else []
    owners = {tag.removeprefix(OWNER) for tag in tags if tag.startswith(OWNER)}
    if owners and owners != {instance.name}:
        raise Refused(
            f"this button is that of {', '.join(sorted(owners))}, and {instance.name} was chosen",
            hint="nothing was changed; press the button of the instance that you mean",
        )


def _ask(drawn: Plan, wait_minutes: float) -> Yes:
    """Wait for a yes; one that does not fit is told why, and may be said again."""
    wrong = ""
    for attempt in range(1, TRIES + 1):
        key = f"yes-{_times_run()}-{attempt}"
        yes = _wait(drawn, key=key, wrong=wrong, minutes=wait_minutes)
        if not (wrong := objection(drawn, yes)):
            log().info("%s said yes: %s", yes.approved_by, yes.reason)
            return yes
        log().warning("%s; nothing was changed", wrong)
    raise Refused(f"{wrong}; nothing was changed", hint="press the button again")


def _times_run() -> int:
    run = FlowRunContext.get()
    return run.flow_run.run_count if run and run.flow_run else 0


def _wait(drawn: Plan, *, key: str, wrong: str, minutes: float) -> Yes:
    made = form(drawn, wrong=wrong)
    made.save(keyset_from_base_key(f"paused-{key}"))
    shown = cast("type[Yes]", type("Yes", (Shown, made), {}))
    try:
        return pause_flow_run(
            wait_for_input=shown, timeout=ceil(60 * minutes), poll_interval=POLL_SECONDS, key=key
        )
    except FlowPauseTimeout as error:
        _stand_up()
        raise Refused(
            f"nobody said yes to the {drawn.procedure} of {drawn.instance} within {minutes:g} "
            "minutes; nothing was changed",
            hint="press the button again",
        ) from error


def _stand_up() -> None:
    """Leave a pause that is over: out of one, Prefect takes no last word but its own.

    Its server may have ended the run already, by its own clock.
    """
    run = UUID(_run_id())
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
        if state and (state.is_paused() or state.is_failed()):  # not cancelled meanwhile
            client.set_flow_run_state(run, Running(), force=True)


def form(drawn: Plan, *, wrong: str = "") -> type[Yes]:
    """The form of one plan: the server itself refuses another name than the instance's."""
    fields: dict[str, Any] = {
        "instance_name": (
            str,
            Field(
                title="Name of the instance",
                description="Type the name of the instance that this plan is about.",
                pattern=f"^{drawn.instance}$",
            ),
        ),
        "reason": (
            str,
            Field(title="Reason", description="Why it is done; the report keeps it.", min_length=3),
        ),
        "approved_by": (
            str,
            Field(
                title="Approved by",
                description="Who says yes; Prefect itself does not know.",
                min_length=2,
            ),
        ),
    }
    if drawn.asks_whether_down:
        fields["origin_is_down"] = (
            bool,
            Field(
                title=f"{drawn.names['origin']} is down and stays down",
                description=_beside(
                    drawn, "I have seen so by other means, and accept the loss stated above."
                ),
            ),
        )
    base = YesAtALoss if drawn.asks_whether_down else Yes
    made = cast("type[Yes]", create_model("Yes", __base__=base, **fields))
    said = words.summary(drawn)
    made._description = f"**{wrong}. Nothing was changed.**\n\n{said}" if wrong else said  # noqa: SLF001  # as Prefect's own with_initial_data does
    return made


def _beside(drawn: Plan, said: str) -> str:
    """Say beside the question what speaks against a yes: the origin may be alive."""
    shut_out = drawn.situation.shut_out
    return f"{said} The state of {drawn.names['origin']} is {shut_out}." if shut_out else said


def objection(drawn: Plan, yes: Yes) -> str:
    """Say what is wrong with a yes; the empty string when it holds."""
    if yes.instance_name != drawn.instance:
        return f"{yes.instance_name!r} was typed, and this plan is about {drawn.instance}"
    if not yes.reason.strip() or not yes.approved_by.strip():
        return "a reason and a name are needed"
    if drawn.asks_whether_down and not _said_down(yes):
        return (
            f"nobody has said that {drawn.names['origin']} is down and stays down, and without "
            "that customers could write to both"
        )
    return ""


def _said_down(yes: Yes) -> bool:
    return isinstance(yes, YesAtALoss) and yes.origin_is_down
