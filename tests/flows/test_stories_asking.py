"""A yes on the page of a run of Prefect's, which pauses meanwhile."""

import contextvars
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.input import delete_flow_run_input, read_flow_run_input
from prefect.input.run_input import keyset_from_base_key

from blocks.errors import Refused
from tasks.orchestrator.form import form, shown
from tasks.recovery.procedure import flow
from tasks.run import question
from tasks.run.desk import desk
from tasks.run.question import Question, Yes
from tasks.run.wait import until

pytestmark = pytest.mark.usefixtures("prefect")
ASKED = Question("failover", "vps_1", origin="uno", asks_whether_down=True, summary="# A plan")
GOOD = {"instance_name": "vps_1", "reason": "fire", "approved_by": "Ana", "origin_is_down": True}
RUNS: list[UUID] = []


@flow(name="asking")
def asking(minutes: float) -> Yes:
    run = desk().run()
    assert run is not None
    RUNS.append(UUID(run.id))
    return question.ask(ASKED, minutes=minutes)


def _pause(client: SyncPrefectClient, key: str) -> UUID | None:
    """The run that is paused under this key."""
    state = client.read_flow_run(RUNS[-1]).state if RUNS else None
    paused = state is not None and state.is_paused() and state.state_details.pause_key == key
    return RUNS[-1] if paused else None


def _resume(*answers: dict[str, object]) -> None:
    """Say each of these when the run has paused for it."""
    with get_client(sync_client=True) as client:
        for number, answer in enumerate(answers, start=1):
            key = f"yes-1-{number}"
            run = until(lambda: _pause(client, key), what="it pauses", timeout_seconds=60)  # noqa: B023  # it is asked at once
            assert run is not None
            said = client.resume_flow_run(run, run_input=answer)
            assert said.status.value == "ACCEPT", said.details


@flow(name="saving")
def saving(*, removed: bool) -> tuple[str, str]:
    """Save a form before the pause and again in it, as Prefect 3.9's server has removed it."""
    keyset = keyset_from_base_key("paused-again")
    made = form(ASKED)
    made.save(keyset)
    if removed:
        for each in ("schema", "description"):
            delete_flow_run_input(keyset[each])
    shown(made).save(keyset)
    schema: Any = read_flow_run_input(keyset["schema"])
    description: Any = read_flow_run_input(keyset["description"])
    return schema["properties"]["instance_name"]["title"], description


@contextmanager
def _answering(*answers: dict[str, object]) -> Iterator[None]:
    RUNS.clear()
    with ThreadPoolExecutor(max_workers=1) as pool:
        resumed = pool.submit(contextvars.copy_context().run, _resume, *answers)
        yield
        resumed.result()


def test_an_answer_that_does_not_fit_is_told_why_and_may_be_given_again() -> None:
    with _answering({**GOOD, "instance_name": "vps-2"}, {**GOOD, "instance_name": "VPS-1"}):
        yes = asking(minutes=1)

    assert yes == Yes("VPS-1", "fire", "Ana", origin_is_down=True)


@pytest.mark.parametrize("removed", [False, True])
def test_a_form_is_on_the_page_whether_or_not_the_pause_removes_it(removed: bool) -> None:
    assert saving(removed=removed) == ("Type vps_1", "# A plan")


def test_a_plan_that_nobody_answers_ends_the_run_with_a_sentence_of_ours() -> None:
    RUNS.clear()

    with pytest.raises(Refused, match=r"the failover of vps_1 was not approved within 0\.05 min"):
        asking(minutes=0.05)
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(RUNS[-1]).state

    assert state is not None
    assert state.is_failed()
    assert "was not approved" in (state.message or "")
