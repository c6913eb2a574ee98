"""Whether to go on: a yes typed on the page of the run, or one that came with the call.

While somebody reads, nothing is held and nothing is paused: no lock, no schedule. What was
measured may have changed when the yes comes, so the guards of the procedure measure again.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, WithJsonSchema

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.authority.situation import Plan, Procedure
from tasks.records import records
from tasks.records.kinds import Approval, Decided
from tasks.run import act
from tasks.run.desk import desk
from tasks.run.question import Question, ask
from tasks.run.report import Report, publish_text
from tasks.run.step import log, step
from tasks.run.tags import OWNER
from tasks.run.timing import Stopwatch

# A form offers what a person may want; a script that asks nobody says so past the form.
Decide: TypeAlias = Annotated[
    Literal["ask", "plan only", "unattended"],
    WithJsonSchema({"type": "string", "enum": ["ask", "plan only"]}),
]
Minutes: TypeAlias = Annotated[float, Field(gt=0, le=24 * 60)]
WAIT_MINUTES = 60


@dataclass(frozen=True)
class Decision:
    """What was decided, by whom and why; the clock of the outage runs from here."""

    approved: bool
    origin_is_down: bool
    reason: str
    approved_by: str
    watch: Stopwatch
    report: Report

    @property
    def signed(self) -> str:
        """The reason, with the name of who gave it, as receipts keep it; none without a reason."""
        named = bool(self.reason.strip() and self.approved_by.strip())
        return f"{self.reason} ({self.approved_by})" if named else self.reason

    @property
    def facts(self) -> dict[str, str]:
        return {
            "reason given": self.reason or "none was needed: nothing is lost",
            "approved by": self.approved_by or "nobody was asked",
        }


def obtain(
    instance: OdooInstance,
    procedure: Procedure,
    decide: Decide,
    *,
    origin_is_down: bool = False,
    reason: str = "",
    approved_by: str = "",
    at_a_loss: bool = False,
    reclone: bool = False,
    wait_minutes: Minutes = WAIT_MINUTES,
) -> Decision:
    """Show what would be done, and find out whether somebody wants it.

    A run that was not started from a page has no page to ask on: who called it has decided.
    """
    require_own_button(instance)
    given = Decision(
        approved=True, origin_is_down=origin_is_down, reason=reason, approved_by=approved_by,
        watch=Stopwatch(), report=Report("", {}),
    )  # fmt: skip
    if decide == "unattended" or (decide == "ask" and not desk().asks):
        return given
    if (kept := given_before(instance, procedure)) is not None:
        return _decided(given, kept)
    from tasks.plan import measure, summary  # noqa: PLC0415  # which no failover waits for

    drawn = measure.draw(instance, procedure, at_a_loss=at_a_loss, reclone=reclone)
    refused, lacking = (
        "; ".join(each) for each in (drawn.situation.refusals, drawn.situation.lacking)
    )
    report = Report(
        f"plan: {procedure} of {instance.name}",
        {
            **summary.facts(drawn),
            **({"lacking": lacking} if lacking else {}),
            **({"refused as things are": refused} if refused else {}),
        },
        ended="Plan only",
    )
    publish_text(
        summary.summary(drawn), key=f"plan-{procedure}-{instance.name}", title=report.title
    )
    if decide == "plan only":
        return replace(given, approved=False, report=report)
    if refused:
        raise Refused(
            f"{procedure} of {instance.name} is refused: {refused}",
            hint="fix this (check says more), then press the button again; nothing was changed",
        )
    log().info(
        "waiting for an approval: open the menu at the top right of this page, choose Resume, and "
        "type the name %s; after %g minutes without an answer this run ends, with nothing changed",
        instance.name,
        wait_minutes,
    )
    yes = ask(question(drawn), minutes=wait_minutes)
    approval = Approval(
        origin_is_down=origin_is_down or yes.origin_is_down, reason=yes.reason,
        approved_by=yes.approved_by, watch=Stopwatch(from_now=True).begun,
    )  # fmt: skip
    note(instance, procedure, approval)
    return replace(_decided(given, approval), report=report)


def _decided(given: Decision, approval: Approval) -> Decision:
    return replace(
        given, origin_is_down=approval.origin_is_down, reason=approval.reason,
        approved_by=approval.approved_by,
        watch=Stopwatch(begun=approval.watch.isoformat() if approval.watch else ""),
    )  # fmt: skip


@step("note the approval of the {procedure} of {instance.name}")
def note(instance: OdooInstance, procedure: Procedure, approval: Approval) -> None:
    """Write down on the recovery host what was said to this run, so that a retry goes on."""
    noted = Decided(run=_run_id(), procedure=procedure, said=approval)
    records.write(instance.recovery, instance, noted)


@step("find out whether the {procedure} of {instance.name} was decided before")
def given_before(instance: OdooInstance, procedure: Procedure) -> Approval | None:
    """The yes that was said to this very run before it was retried.

    The guards of the procedure judge the facts anew: a loss that was not accepted is refused.
    """
    kept = records.read(instance.recovery, instance, Decided)
    if kept is None or (kept.run, kept.procedure) != (_run_id(), procedure):
        return None
    act.decided(reason=kept.said.reason, person=kept.said.approved_by)
    return kept.said


def _run_id() -> str:
    run = desk().run()
    return run.id if run else ""


def require_own_button(instance: OdooInstance) -> None:
    """Refuse to act on one instance by the button of another."""
    run = desk().run()
    tags = run.tags if run else ()
    owners = {tag.removeprefix(OWNER) for tag in tags if tag.startswith(OWNER)}
    if owners and owners != {instance.name}:
        raise Refused(
            f"this deployment is for {', '.join(sorted(owners))}, but {instance.name} was selected",
            hint="press the button of the instance that you mean; nothing was changed",
        )


def question(drawn: Plan, *, reason: str = "", approved_by: str = "") -> Question:
    """Say what somebody has to be asked about a plan."""
    from tasks.plan import summary  # noqa: PLC0415  # which no failover waits for

    return Question(
        procedure=drawn.procedure,
        instance=drawn.instance,
        origin=drawn.names["origin"],
        asks_whether_down=drawn.asks_whether_down,
        shut_out=drawn.situation.shut_out,
        summary=summary.summary(drawn),
        reason=reason,
        approved_by=approved_by,
    )
