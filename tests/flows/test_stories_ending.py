"""How the page of a run says that it has ended: in a sentence of ours, with what is kept."""

import io
import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import ArtifactSort
from prefect.flow_engine import run_flow
from prefect.states import Failed

from blocks.errors import CATCHING, Refused, Unreachable
from blocks.instance import OdooInstance
from flows.failover import failover
from tasks.orchestrator import hooks
from tasks.records.kinds import Approval, Decided
from tasks.recovery.procedure import flow
from tasks.run.report import Report
from tasks.run.step import step
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, dead, serving

pytestmark = pytest.mark.usefixtures("prefect")


@step("look at {what}")
def look(what: str) -> None:
    if what == "nothing":
        raise ZeroDivisionError("a fault")
    if what != "order":
        raise Refused("there is no slot on uno", hint="run basebackup")


@flow(name="ending")
def ending(what: str) -> Report | None:
    look(what)
    return Report("vps_1 is home", {})


@flow(name="planning")
def planning(what: str) -> Report | None:
    return Report(what, {}, ended="Plan only")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that Prefect logs of runs and steps, as it is shown."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    for name in CATCHING:
        logging.getLogger(name).addHandler(handler)
    yield said
    for name in CATCHING:
        logging.getLogger(name).removeHandler(handler)


@flow(name="refusing")
def refusing(instance: OdooInstance) -> None:
    raise Refused(f"{instance.recovery} does not answer", hint="run replicate")


def _made(made: Flow[..., Any], **parameters: object) -> FlowRun:
    """Press the button of a deployment."""
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(made), name="any")
        return client.create_flow_run_from_deployment(deployment, parameters=parameters)


def _press(made: Flow[..., Any], **parameters: object) -> State[object]:
    """Run a flow as a worker runs a deployment of it."""
    ended = run_flow(made, flow_run=_made(made, **parameters), return_type="state")
    assert isinstance(ended, State)
    return ended


def test_a_run_that_is_done_says_so_in_the_words_of_its_report() -> None:
    done, planned = _press(ending, what="order"), _press(planning, what="plan: failover")

    assert (done.name, done.message) == ("Completed", "vps_1 is home")
    assert (planned.name, planned.message) == ("Plan only", "plan: failover")
    assert planned.is_completed()


def test_a_run_that_failed_shows_the_sentence_and_the_hint_and_no_python(
    log: io.StringIO,
) -> None:
    failed = _press(ending, what="slots")

    assert (failed.name, failed.type.value) == ("Failed", "FAILED")
    assert failed.message == "there is no slot on uno\nHINT: run basebackup"
    assert "Traceback" not in log.getvalue()
    assert "there is no slot on uno\nHINT: run basebackup" in log.getvalue()


def test_a_run_of_an_instance_whose_people_read_spanish_ends_in_spanish(
    instance: OdooInstance,
) -> None:
    failed = _press(refusing, instance=instance.model_copy(update={"language": "es"}))

    assert failed.message == "due no responde\nSUGERENCIA: ejecute replicate"


def test_the_process_of_a_run_ends_as_its_flow_did() -> None:
    """A worker takes a process that ends well for a run that has."""
    with pytest.raises(Refused, match="no slot"):
        run_flow(ending, flow_run=_made(ending, what="slots"))
    assert run_flow(ending, flow_run=_made(ending, what="order")) == Report("vps_1 is home", {})


def test_a_fault_keeps_its_traceback(log: io.StringIO) -> None:
    assert _press(ending, what="nothing").is_failed()
    assert "Traceback" in log.getvalue()


def test_a_flow_that_is_called_in_python_gives_what_it_gives() -> None:
    report = ending("order")

    assert report is not None
    assert report.title == "vps_1 is home"
    with pytest.raises(Refused, match="no slot"):
        ending("slots")


DECIDED = "read /var/lib/relevo/vps_1/notes/decided.json"


@pytest.mark.parametrize(
    ("holder", "lock", "approved"),
    [
        ("", "The lock is free.", True),
        ("rsync-filestore\n", "The lock is free.", False),
        ("failback\n", "failback holds the lock.", False),
        (Unreachable("due hangs"), "due does not say who holds the lock.", False),
    ],
)
def test_a_failed_move_leaves_a_page_that_says_what_is_kept_and_what_to_press(
    instance: OdooInstance, hosts: Hosts, holder: Answer, lock: str, approved: bool
) -> None:
    due = FakeHost("due")
    hosts(dead(), due)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(
            failover, parameters={"instance": instance.model_dump(mode="json")}
        )

    said = Approval(origin_is_down=True, reason="it burns", approved_by="Ann")
    yes = Decided(run=str(run.id) if approved else "another", procedure="failover", said=said)
    due.answers = {
        DECIDED: yes.as_text(), "holder /run/relevo/vps_1": holder, **serving(),
        "systemctl is-active odoo_vps_1.service": "active\n", "long *": "",
    }  # fmt: skip

    hooks.say_failed(
        cast("Flow[..., object]", failover), run, Failed(message="no room on due\nHINT: make room")
    )

    with get_client(sync_client=True) as client:
        found = client.read_artifacts(sort=ArtifactSort.ID_DESC)
    page = next(each for each in found if each.flow_run_id == run.id)
    assert page.key == "failed-failover-vps-1"
    assert "## What failed\n\nno room on due  \nHINT: make room" in str(page.data)
    assert "customers are served from due" in str(page.data)
    assert "*Retry*" in str(page.data)
    assert f"finds them done. {lock}\n" in str(page.data)
    assert ("does not ask for the approval again" in str(page.data)) == approved
