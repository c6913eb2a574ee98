"""Runs whose process died with its machine: Prefect would call them running for ever.

A worker that dies while it hands a run to a process leaves it pending; of a copy that is limited to
one at a time, no other would ever begin. A plan that waits would take a yes and do nothing, and a
Cancel that no worker hears would last for ever.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventResourceFilter,
)
from prefect.states import Cancelled, Crashed

from tasks.run.step import log, step
from tasks.run.tags import ANY, MANAGED

HEARTBEAT_SECONDS = 30
SILENCE = timedelta(seconds=4 * HEARTBEAT_SECONDS)
SAID = "No heartbeat for {seconds:.0f} s: the process is presumed dead. "
STANDS = "Completed steps are kept, and the lock is free. Run check, then "
AT_WORK = SAID + STANDS + "Retry: finished steps find nothing left to do"
CANCELLED = SAID + STANDS + "Retry to go on, or leave it"
WAITING = SAID + "Its plan was not approved, and nothing was changed. Press Retry to see a new plan"


@step("find runs whose process has died")
def mark_dead(silence: timedelta = SILENCE) -> None:
    """End runs that give no sign of life, so that they can be retried."""
    with get_client(sync_client=True) as client:
        for run in _begun(client):
            if not alive(client, run, silence):
                _mark(client, run, silence)


def _begun(client: SyncPrefectClient) -> list[FlowRun]:
    """Our runs that have a process, or are being given one."""
    begun = [StateType.RUNNING, StateType.PENDING, StateType.PAUSED, StateType.CANCELLING]
    return [
        run
        for tag in (MANAGED, ANY)
        for run in client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=begun)),
                tags=FlowRunFilterTags(all_=[tag]),
            ),
            sort=FlowRunSort.START_TIME_ASC,
            limit=200,
        )
    ]


def alive(client: SyncPrefectClient, run: FlowRun, silence: timedelta) -> bool:
    """Tell whether a run has beaten, or changed its state, within the time."""
    now = datetime.now(UTC)
    if run.state and run.state.timestamp > now - silence:
        return True
    beats = client.read_events(
        EventFilter(
            occurred=EventOccurredFilter(since=now - silence, until=now),
            event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
        ),
        limit=1,
    )
    return bool(beats.events)


def _mark(client: SyncPrefectClient, run: FlowRun, silence: timedelta) -> None:
    """Mark a run, unless it has moved while we looked."""
    if _state_id(client, run.id) != run.state_id:
        return
    state = _end(run.state_type, silence)
    client.set_flow_run_state(run.id, state, force=True)
    log().warning("%s: %s", run.name, state.message)


def _end(was: StateType | None, silence: timedelta) -> State[object]:
    """How a silent run has ended, by what it was about."""
    seconds = silence.total_seconds()
    if was == StateType.CANCELLING:
        return Cancelled(message=CANCELLED.format(seconds=seconds))
    sentence = WAITING if was == StateType.PAUSED else AT_WORK
    return Crashed(message=sentence.format(seconds=seconds))


def _state_id(client: SyncPrefectClient, run: UUID) -> UUID | None:
    return client.read_flow_run(run).state_id
