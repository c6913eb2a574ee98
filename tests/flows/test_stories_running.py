"""How steps are retried, how errors travel, and what Prefect keeps."""

import json
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import TaskRunSort
from prefect.serializers import PickleSerializer

from blocks.errors import Busy, CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance, Place
from flows.rsync_filestore import rsync_filestore
from tasks.run.step import step
from tasks.run.wait import until
from tests.fakes import FakeHost
from tests.flows.conftest import SECRETS, Hosts, serving

pytestmark = pytest.mark.usefixtures("prefect")


@step("ask {place}")
def ask(place: Place) -> None:
    place.host.shell().run(("true",))


@flow(name="ask")
def ask_the_origin(instance: OdooInstance) -> None:
    ask(instance.origin)


def test_a_host_that_did_not_answer_is_asked_again(instance: OdooInstance, hosts: Hosts) -> None:
    uno = FakeHost("uno", {"true": [Unreachable("no"), 0]})
    hosts(uno, FakeHost("due"))

    ask_the_origin(instance)

    assert uno.ran == ["true", "true"]


def test_a_host_that_stays_silent_ends_the_run(instance: OdooInstance, hosts: Hosts) -> None:
    uno = FakeHost("uno", {"true": Unreachable("no answer", hint="see that it is up")})
    hosts(uno, FakeHost("due"))

    with pytest.raises(Unreachable, match="HINT: see that it is up"):
        ask_the_origin(instance)

    assert uno.ran == ["true", "true"]


@pytest.mark.parametrize("error", [Refused("no"), CommandFailed("no"), Busy("no")])
def test_what_cannot_heal_by_itself_is_not_tried_again(
    instance: OdooInstance, hosts: Hosts, error: RelevoError
) -> None:
    uno = FakeHost("uno", {"true": [error, 0]})
    hosts(uno, FakeHost("due"))

    with pytest.raises(type(error)):
        ask_the_origin(instance)

    assert uno.ran == ["true"]


@pytest.mark.parametrize("kind", [Unreachable, CommandFailed, Refused, Busy])
def test_an_error_survives_prefect_s_own_pickling_with_its_hint(kind: type[RelevoError]) -> None:
    pickler: PickleSerializer[Any] = PickleSerializer()

    error = pickler.loads(pickler.dumps(kind("no slot on uno", hint="run basebackup")))

    assert type(error) is kind
    assert str(error) == "no slot on uno\nHINT: run basebackup"


def test_nothing_that_prefect_stores_of_a_run_holds_a_secret(
    instance: OdooInstance, hosts: Hosts
) -> None:
    """Parameters and states of the run and its steps, as anybody who may read the API sees them."""
    hosts(FakeHost("uno"), FakeHost("due", serving()))

    ended = rsync_filestore(instance, return_state=True)

    assert ended.is_failed()
    run = ended.state_details.flow_run_id
    assert run is not None
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    with get_client(sync_client=True) as client:
        stored = client.read_flow_run(run)
        steps = until(
            lambda: client.read_task_runs(
                flow_run_filter=chosen, sort=TaskRunSort.ID_DESC, limit=200
            ),
            what="the server has noted the steps",
            timeout_seconds=30,
        )
    assert stored.parameters["instance"]["name"] == "vps_1"
    assert set(stored.parameters["instance"]["replication"]["password"]) == {"*"}
    assert [step.name for step in steps] == ["require that due is the standby of vps_1"]
    text = json.dumps(stored.parameters) + "".join(
        each.model_dump_json() for each in (stored, *steps)
    )
    assert [secret for secret in SECRETS if secret in text] == []
