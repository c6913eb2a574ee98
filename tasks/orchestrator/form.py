"""A yes on the page of a run, which pauses meanwhile.

The run pauses, it does not suspend: its process waits, with its imports done and its connections
open, and goes on within a second of the yes. A suspended run would exit and be started anew by the
worker, which costs four to eight seconds of an outage; what it saves is one idle process.
"""

from math import ceil
from typing import Any, NamedTuple, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput, read_flow_run_input
from prefect.input.run_input import Keyset, keyset_from_base_key
from prefect.states import Running
from pydantic import Field, create_model

from blocks.errors import Refused
from tasks.language import reader
from tasks.run.question import Question, Yes

POLL_SECONDS = 1


class Form(RunInput):
    """What somebody fills in who says yes, in this order: the name is typed last."""

    approved_by: str
    reason: str
    instance_name: str


class FormAtALoss(RunInput):
    """The form of a failover from an origin that does not answer."""

    origin_is_down: bool
    approved_by: str
    reason: str
    instance_name: str


class Shown:
    """A form that was saved before the pause.

    Prefect saves it only after the run has paused: for a moment Resume would show no plan.
    A server of 3.9 or later removes with the pause what was saved before; then that moment stays.
    """

    @classmethod
    def save(cls, keyset: Keyset, flow_run_id: UUID | None = None) -> None:
        """Save the form again where the pause has removed it; a form is never saved twice."""
        if read_flow_run_input(keyset["schema"], flow_run_id=flow_run_id) is None:
            super().save(keyset, flow_run_id)  # type: ignore[misc]  # the form's, which comes next


def ask(question: Question, *, attempt: int, wrong: str, minutes: float) -> Yes:
    """Pause until somebody resumes the run with a form that is filled in."""
    run = _run()
    key = f"yes-{run.run_count}-{attempt}"
    made = form(question, wrong=wrong)
    made.save(keyset_from_base_key(f"paused-{key}"))
    try:
        said = pause_flow_run(
            wait_for_input=shown(made),
            timeout=ceil(60 * minutes),
            poll_interval=POLL_SECONDS,
            key=key,
        )
    except FlowPauseTimeout as error:
        _stand_up(run.id)
        raise Refused(
            f"the {question.procedure} of {question.instance} was not approved within "
            f"{minutes:g} minutes; nothing was changed",
            hint="press the button again",
        ) from error
    return Yes(
        instance_name=said.instance_name,
        reason=said.reason,
        approved_by=said.approved_by,
        origin_is_down=isinstance(said, FormAtALoss) and said.origin_is_down,
    )


def shown(made: type[Form | FormAtALoss]) -> type[Form | FormAtALoss]:
    """The same form, for a pause: it is there already, or saved again."""
    return cast("type[Form | FormAtALoss]", type("Yes", (Shown, made), {}))


def _run() -> FlowRun:
    context = FlowRunContext.get()
    assert context is not None, "only a run that has a page is asked on it"
    assert context.flow_run is not None, "only a run that has a page is asked on it"
    return context.flow_run


def _stand_up(run: UUID) -> None:
    """Leave a pause that is over: out of one, Prefect takes no last word but its own.

    Its server may have ended the run already, by its own clock.
    """
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
        if state and (state.is_paused() or state.is_failed()):  # not cancelled meanwhile
            client.set_flow_run_state(run, Running(), force=True)


def form(question: Question, *, wrong: str = "") -> type[Form | FormAtALoss]:
    """The form of one plan; what is wrong with an answer our own objection says."""
    base = FormAtALoss if question.asks_whether_down else Form
    asked = _fields(question)
    fields: dict[str, Any] = {
        name: (each.annotation, asked[name].at(position))
        for position, (name, each) in enumerate(base.model_fields.items())
    }
    made = cast("type[Form | FormAtALoss]", create_model("Yes", __base__=base, **fields))
    before = f"**{wrong}. Nothing was changed.**\n\n" if wrong else ""
    made._description = reader.shown(before + question.summary)  # noqa: SLF001  # as Prefect's own with_initial_data does
    return made


class Asked(NamedTuple):
    """A field of a form, in words."""

    title: str
    description: str

    def at(self, position: int) -> Any:
        title = reader.word(self.title) if " " not in self.title else reader.translated(self.title)
        return Field(
            title=title, description=reader.translated(self.description),
            json_schema_extra={"position": position},
        )  # fmt: skip


def _fields(question: Question) -> dict[str, Asked]:
    down = (
        "I have confirmed it from another source, and accept the loss stated above. If unsure, "
        f"leave this switch off. {question.doubt}"
    )
    return {
        "origin_is_down": Asked(f"{question.origin} is down and stays down", down.strip()),
        "approved_by": Asked("Approved by", "Your name; Prefect does not know it."),
        "reason": Asked("Reason", "Why you do this; the report keeps it."),
        "instance_name": Asked(f"Type {question.instance}", "Which instance is this plan about?"),
    }
