"""Boards go on whatever became of one of them, and give back what dead copies hold."""

from datetime import timedelta
from uuid import UUID

import pytest
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.states import Pending

from blocks.errors import CommandFailed
from blocks.instance import OdooInstance
from deployments import apply, deployed, wanted
from deployments.wanted import Wanted
from flows.board import board
from tasks.board import announce, table
from tasks.board import board as desk
from tasks.language.reader import translated
from tasks.notices import events, schedules
from tasks.orchestrator import dead_runs, instances
from tasks.orchestrator.instances import Saved
from tasks.plan import pages
from tasks.rounds import passes
from tasks.rounds.words import Pass
from tasks.run import terminal
from tasks.run.moments import Clock

pytestmark = pytest.mark.usefixtures("prefect")
POOL = "boards-of-a-test"


def _deploy(client: SyncPrefectClient, wanted: Wanted, **fixed: object) -> UUID:
    list(apply._pool(client, POOL))
    list(deployed.deploy(wanted, fixed, deployed.read(client), POOL))
    return client.read_deployment_by_name(f"{wanted.flow.replace('_', '-')}/{wanted.name}").id


def _begin(client: SyncPrefectClient, deployment: UUID) -> tuple[UUID, str]:
    """Let a run become pending, as a worker does; give what it is then."""
    run = client.create_flow_run_from_deployment(deployment)
    client.set_flow_run_state(run.id, Pending())
    state = client.read_flow_run(run.id).state
    return run.id, str(state.type.value) if state else ""


def test_a_board_that_died_while_it_was_pending_stops_no_later_board(
    instance: OdooInstance,
) -> None:
    with get_client(sync_client=True) as client:
        board = _deploy(client, wanted.board([instance]))
        assert [_begin(client, board)[1] for _ in range(2)] == ["PENDING", "PENDING"]
        queue = client.read_work_queue_by_name(wanted.BOARDS, work_pool_name=POOL)
        assert queue.concurrency_limit == 3, "a worker that was away starts no more at once"


def test_a_board_of_an_older_relevo_loses_its_limit(instance: OdooInstance) -> None:
    with get_client(sync_client=True) as client:
        board = _deploy(client, wanted.board([instance]))
        limit = ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        )
        flow = Flow.from_source(source=str(deployed.ROOT), entrypoint="flows/board.py:board")
        flow.to_deployment(  # type: ignore[union-attr]  # it is no coroutine here
            name="all-instances", concurrency_limit=limit, work_pool_name=POOL, version="older"
        ).apply(work_pool_name=POOL)
        assert client.read_deployment(board).global_concurrency_limit is not None
        _deploy(client, wanted.board([instance]))
        assert client.read_deployment(board).global_concurrency_limit is None


def test_a_copy_that_died_while_it_was_pending_is_ended_and_the_next_one_begins(
    instance: OdooInstance,
) -> None:
    compare = next(
        each for each in wanted.deployments(instance) if each.flow == "reconcile_filestore"
    )
    with get_client(sync_client=True) as client:
        saved = {"$ref": {"block_document_id": str(instance.save("vps-1"))}}  # as a form shows it
        copy = _deploy(client, compare, instance=saved)
        dead, began = _begin(client, copy)
        assert (began, _begin(client, copy)[1]) == ("PENDING", "CANCELLED")

        with terminal.without_server():
            dead_runs.mark_dead(timedelta(0))

        state = client.read_flow_run(dead).state
        assert state is not None
        assert state.is_crashed()
        assert _begin(client, copy)[1] == "PENDING"


def test_a_board_is_read_in_the_language_of_the_inventory(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    spanish = instance.model_copy(update={"language": "es"})
    nothing: dict[object, tuple[str, ...]] = {
        schedules: ("idle",), desk: ("measure", "at_rest", "catch_up"), announce: ("tell",),
        pages: ("refresh",), events: ("tell_board",), dead_runs: ("mark_dead",),
    }  # fmt: skip
    for module, names in nothing.items():
        for name in names:
            monkeypatch.setattr(module, name, lambda *_, **__: [])
    monkeypatch.setattr(instances, "saved", lambda: Saved([spanish]))
    monkeypatch.setattr(desk, "publish", lambda *_: said.append(translated("all well")))
    with terminal.without_server():
        board.fn()
    assert said == ["todo bien"]


def test_one_saved_instance_that_cannot_be_read_is_red_and_costs_the_others_nothing(
    instance: OdooInstance,
) -> None:
    """A release that reads other fields came, and nobody has run `relevo apply` yet."""
    other = instance.model_copy(update={"name": "vps_9"})
    with get_client(sync_client=True) as client:
        instance.save("vps-1", overwrite=True)
        document = UUID(str(other.save("vps-9", overwrite=True)))
        strange = {**client.read_block_document(document).data, "directory": 7}
        homeless = {**strange, "recovery": {"at": "due"}}
        try:
            client.update_block_document(document, BlockDocumentUpdate(data=homeless))
            assert list(instances.on("elsewhere").unread) == ["vps_9"], "nobody knows whose it is"
            client.update_block_document(document, BlockDocumentUpdate(data=strange))
            with terminal.without_server():
                everywhere = instances.saved()
            for found in (instances.on("due"), everywhere):
                assert "vps_1" in [each.name for each in found.instances]
                assert list(found.unread) == ["vps_9"]
            assert instances.on("elsewhere") == Saved([])
        finally:
            client.delete_block_document(document)

    _, colour, why = row = desk.unread("vps_9", found.unread["vps_9"])
    assert colour == "red"
    assert why == ["the saved instance vps_9 is of another release of Relevo: run relevo apply"]
    assert "vps_9" in table.page([row], links={}, clock=Clock())
    went = passes.unread("vps_9", found.unread["vps_9"])
    assert str(went).startswith("failed")
    with pytest.raises(CommandFailed, match="vps_9: the saved instance vps_9"):
        passes.hand_in("due", [Pass("vps_1", "copied"), went])
