"""A run whose machine died is found by its silence; one that lives is left alone."""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.events import emit_event
from prefect.states import Completed, Crashed, Paused, Pending, Running

from tasks.orchestrator import dead_runs, schedules
from tasks.orchestrator.dead_runs import mark_dead
from tasks.run.tags import MANAGED
from tasks.run.wait import until

pytestmark = pytest.mark.usefixtures("prefect")
SILENCE = timedelta(seconds=8)


@flow(name="sweep")
def sweeping() -> None:
    mark_dead(SILENCE)


def run(*states: State[object]) -> UUID:
    """A run whose process nobody has started."""
    with get_client(sync_client=True) as client:
        made = client.create_flow_run(Flow(run, name="anything"), tags=[MANAGED])
        for each in states:
            client.set_flow_run_state(made.id, each, force=True)
        return made.id


def state(of: UUID) -> tuple[StateType | None, str]:
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(of)
        return found.state_type, (found.state.message or "") if found.state else ""


@contextmanager
def beating(*runs: UUID) -> Iterator[None]:
    """Let these runs beat every second, as their processes would."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(1):
            for each in runs:
                resource = {"prefect.resource.id": f"prefect.flow-run.{each}"}
                emit_event("prefect.flow-run.heartbeat", resource=resource)

    context = contextvars.copy_context()  # it names the server
    thread = threading.Thread(target=lambda: context.run(beat), daemon=True)
    thread.start()
    try:
        until(lambda: all(map(is_heard, runs)), what="beats arrive", timeout_seconds=60)
        yield
    finally:
        ended.set()
        thread.join()


def is_heard(of: UUID) -> bool:
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(of)
        found.state = None  # only what beats shall count
        return dead_runs.alive(client, found, SILENCE)


def test_a_silent_run_is_ended_with_what_to_do_and_a_living_one_is_not() -> None:
    dead, never_begun = run(Running()), run(Pending())
    waiting = run(Running(), Paused(timeout_seconds=3600))
    cancelled = run(Running(), State(type=StateType.CANCELLING))
    living, asking = run(Running()), run(Running(), Paused(timeout_seconds=3600))
    begun = datetime.now(UTC)
    until(lambda: datetime.now(UTC) - begun > SILENCE, what="silence", timeout_seconds=60)
    with beating(living, asking):
        sweeping()

    assert state(dead)[0] == StateType.CRASHED
    assert state(never_begun)[0] == StateType.CRASHED
    assert "then Retry: finished steps find nothing left to do" in state(dead)[1]
    assert state(waiting)[0] == StateType.CRASHED
    assert "nothing was changed. Press Retry to see a new plan" in state(waiting)[1]
    assert state(cancelled)[0] == StateType.CANCELLED
    assert "Retry to go on, or leave it" in state(cancelled)[1]
    assert state(living)[0] == StateType.RUNNING
    assert state(asking)[0] == StateType.PAUSED


def test_a_run_whose_deployment_goes_is_ended_before_and_troubles_no_board(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has a slot of a limit that goes as well; with that the server would say 500."""
    monkeypatch.setattr(schedules, "END_SECONDS", 1)  # no worker ends its process here
    with get_client(sync_client=True) as client:
        made = client.create_deployment(
            client.create_flow(Flow(run, name="follow")), "vps_1", concurrency_limit=1
        )
        begun = client.create_flow_run_from_deployment(made, tags=[MANAGED]).id
        client.set_flow_run_state(begun, Pending())
        client.set_flow_run_state(begun, Running())
        kept = client.read_flow_run(begun).state
        assert kept is not None
        assert kept.state_details.deployment_concurrency_lease_id, "it has a slot"

        schedules.end(client, [made])
        client.delete_deployment(made)

        client.set_flow_run_state(begun, Completed())
        client.set_flow_run_state(begun, Crashed(), force=True)
    assert state(begun)[0] in {StateType.CANCELLED, StateType.CRASHED}
