"""The worker is killed in the middle, and the run is started again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client

from tasks.orchestrator import dead_runs
from tests.lab.machine import wait_until
from tests.oracles import Pair, no_strangers
from tests.stack import Stack
from tests.stack_api import FINAL

# The others stand in test_62_every_step.py, where no worker has to be started anew.
THERE, BACK = "promote respaldo", "make respaldo the standby of uno"


def _kill_at(stack: Stack, run: str, step: str) -> None:
    """Kill the worker and the run as soon as a step has begun."""
    wait_until(
        lambda: any(name == step for name, _ in stack.tasks(run)) or _ended(stack, run),
        f"the step {step!r} begins",
        300,
    )
    stack.kill_worker()
    stack.start_worker()


def _ended(stack: Stack, run: str) -> bool:
    return stack.state(run)["type"] in {"COMPLETED", "FAILED", "CRASHED"}


def test_a_failover_and_a_failback_killed_in_the_middle_end_well_when_started_again(
    uno: Pair, stack: Stack
) -> None:
    run = stack.press("failover/vps_uno")
    _kill_at(stack, run, THERE)
    run = _again(stack, "failover/vps_uno")
    assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"
    uno.at_recovery("CREATE TABLE outage AS SELECT generate_series(1, 10) AS n", "cliente1")

    run = stack.press("failback/vps_uno")
    _kill_at(stack, run, BACK)
    _again(stack, "failback/vps_uno")
    assert uno.at_origin("SELECT count(*) FROM outage", "cliente1") == "10"
    uno.at_origin("DROP TABLE outage", "cliente1")
    assert uno.is_home()
    no_strangers(uno)


def test_a_run_whose_worker_died_while_it_waited_or_was_cancelled_goes_on_when_retried(
    uno: Pair, stack: Stack
) -> None:
    """A yes outlives a restart of the server, too."""
    yes = {"instance_name": "vps_uno", "reason": "the drill", "approved_by": "Ana"}
    with stack.unscheduled():
        run = stack.press("failover/vps_uno", decide="ask")
        _require_plan(stack, run)
        _require_left_alone(stack, run)
        stack.kill_worker()
        _require_ended(stack, run, "CRASHED", "Its plan was not approved, and nothing was changed")

        stack.start_worker()
        stack.retry(run)
        _require_plan(stack, run)
        stack.kill_server()
        stack.start_server()
        _require_left_alone(stack, run)
        assert stack.resume(run, **yes) == "ACCEPT"
        stack.require_complete(run)
        assert uno.at_recovery("SELECT pg_is_in_recovery()") == "f"

        run = stack.press("failback/vps_uno")
        wait_until(
            lambda: "demote respaldo, in favour of uno" in dict(stack.tasks(run)),
            "it demotes respaldo",
            300,
        )
        stack.kill_worker()
        stack.cancel(run)
        _require_ended(stack, run, "CANCELLED", "Retry to go on")

        stack.start_worker()
        stack.retry(run)
        stack.require_complete(run)
    assert uno.is_home()
    no_strangers(uno)


def _require_plan(stack: Stack, run: str) -> None:
    wait_until(lambda: stack.state(run)["type"] == "PAUSED", "the plan waits for a yes", 120)


def _require_left_alone(stack: Stack, run: str) -> None:
    """A plan that waits gives signs of life, by which the board knows it."""
    since = datetime.now(UTC)
    wait_until(lambda: _beats(run, since), "it beats while it waits", 90)
    sweeping(2 * dead_runs.HEARTBEAT_SECONDS)
    assert stack.state(run)["type"] == "PAUSED"


def _beats(run: str, since: datetime) -> bool:
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(UUID(run))
        found.state = None  # only what beats shall count
        return dead_runs.alive(client, found, datetime.now(UTC) - since)


@flow(name="sweep")
def sweeping(silence_seconds: int) -> None:
    dead_runs.mark_dead(timedelta(seconds=silence_seconds))


def _require_ended(stack: Stack, run: str, how: str, said: str) -> None:
    """Do what the board does at last, until the run has been silent for a shorter time."""

    def ended() -> bool:
        sweeping(5)
        return stack.state(run)["type"] in FINAL

    wait_until(ended, "the silent run is ended", 60)
    state = stack.state(run)
    assert state["type"] == how
    assert said in state["message"]


def _again(stack: Stack, deployment: str) -> str:
    """Press the button again; a lock that the dead worker held is free after its lease."""
    for _ in range(4):
        run = stack.press(deployment)
        state = stack.wait(run)
        if state["type"] == "COMPLETED" or "is locked by a running" not in state["message"]:
            break
    assert state["type"] == "COMPLETED" or "already" in state["message"], (
        f"{state['message']}\n{stack.said(run)}"
    )
    return run
