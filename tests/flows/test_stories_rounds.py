"""A round copies all instances of a recovery host: one that is bad costs the others nothing."""

import json
import time
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import StateType
from prefect.events import ReceivedEvent
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventResourceFilter,
)

from blocks.errors import CommandFailed, Unreachable
from blocks.host import Host
from blocks.instance import OdooInstance, Schedules
from blocks.lease import HELD
from blocks.patience import at_most
from deployments import apply, deployed, wanted
from flows import rsync_filestore
from flows.copies import copies
from tasks.notices import events
from tasks.orchestrator import rounds, schedules
from tasks.rounds import passes
from tasks.rounds.words import Pass
from tasks.run.tags import SWITCH
from tasks.run.wait import until
from tests.fakes import Answer, FakeHost
from tests.flows.conftest import Hosts, serving
from tests.flows.test_stories_files import LEADS, _engine

POOL = "rounds-of-a-test"
GOOD = _engine("pass", {"fetched": 1, "pending": 0, "unread": []})
UNREAD = _engine("pass", {"fetched": 1, "pending": 0, "unread": ["shut: no CONNECT"]})


def another(instance: OdooInstance, name: str, host: str = "due") -> OdooInstance:
    place = instance.recovery
    odoo = place.odoo.model_copy(
        update={"config": PurePosixPath(f"/srv/{name}/odoo.conf"), "user": f"odoo_{name}",
                "data_dir": PurePosixPath(f"/srv/{name}/data")}
    )  # fmt: skip
    cluster = place.cluster.model_copy(update={"name": name})
    recovery = place.model_copy(update={
        "odoo": odoo, "cluster": cluster, "host": place.host.model_copy(update={"name": host}),
    })  # fmt: skip
    folder = PurePosixPath(f"/srv/{name}")
    return instance.model_copy(update={"name": name, "recovery": recovery, "directory": folder})


def of(name: str, answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """What the recovery host says of one instance; what names none is said of all."""
    return {
        key.replace("vps_1", name): each.replace("vps_1", name) if isinstance(each, str) else each
        for key, each in answers.items()
        if "vps_1" in key
    }


COMMON: dict[str, Answer] = {key: each for key, each in GOOD.items() if "vps_1" not in key}
LOCKED: dict[str, Answer] = {"hold vps_1 * 30": "busy 4711 failover"}
STATES: dict[str, Mapping[str, Answer]] = {
    "vps_1": GOOD,
    "vps_2": {**GOOD, **LOCKED},  # is being moved
    "vps_3": {**GOOD, **serving()},  # has failed over
    "vps_4": UNREAD,
    "vps_5": {"hold vps_1 * 30": Unreachable("due did not answer", hint="see that it is up")},
    "vps_6": {"hold vps_1 * 30": "busy 4712 reconcile-filestore"},
    "vps_7": GOOD,
}


@pytest.fixture
def fleet(instance: OdooInstance, hosts: Hosts) -> tuple[list[OdooInstance], FakeHost]:
    answers: dict[str, Answer] = {}
    for name, state in STATES.items():
        answers |= of(name, state)
    due = FakeHost("due", answers | COMMON)
    hosts(FakeHost("uno", LEADS), due)
    return [another(instance, name) for name in STATES], due


def test_one_that_is_bad_locked_failed_over_or_paused_costs_the_others_nothing(
    fleet: tuple[list[OdooInstance], FakeHost],
) -> None:
    everyone, due = fleet

    went = passes.copy_all(everyone, rsync_filestore.copy_files, off={"vps_7"})

    said = {each.instance: (each.ended, each.said) for each in went}
    assert list(said) == list(STATES), "each is told by its name"
    assert said["vps_1"] == ("copied", "")
    assert said["vps_2"][0] == "alone"
    assert "4711 failover" in said["vps_2"][1]
    assert said["vps_3"][0] == "alone"
    assert "is primary, not standby" in said["vps_3"][1]
    assert said["vps_4"][0] == "failed"
    assert "shut: no CONNECT" in said["vps_4"][1]
    assert said["vps_5"] == ("failed", "due did not answer")
    assert said["vps_6"][0] == "alone"
    assert said["vps_7"] == ("alone", passes.OFF)
    noted = [asked for asked in due.changes if "notes/synced" in asked]
    assert [asked.split("/")[4] for asked in noted] == ["vps_1"], "whose copy was good"
    assert not [asked for asked in due.ran if "vps_7" in asked], "nobody asks of a paused one"


def test_a_round_that_could_not_copy_one_fails_and_names_it(
    fleet: tuple[list[OdooInstance], FakeHost],
) -> None:
    everyone, _ = fleet
    went = passes.copy_all(everyone, rsync_filestore.copy_files, off={"vps_7"})

    with pytest.raises(CommandFailed) as failed:
        passes.hand_in("due", went)

    lines = failed.value.message.splitlines()
    assert lines[0] == "2 of 7 instances on due were not copied"
    assert [line.split(":")[0] for line in lines[1:]] == ["vps_4", "vps_5"]


SILENT = Unreachable("due did not answer", hint="see that it is up")


@pytest.mark.parametrize(
    ("shown", "ended", "is_stopped"),
    [
        pytest.param("dead\n\nrunning\n", "slow", True, id="a long command is at work"),
        pytest.param("dead\n\nexited\n", "slow", False, id="a plain one was late"),
        pytest.param(SILENT, "failed", False, id="who is silent is not slow"),
    ],
)
def test_what_takes_longer_than_a_round_has_time_for_is_ended_under_its_lock(
    instance: OdooInstance,
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    *,
    shown: Answer,
    ended: str,
    is_stopped: bool,
) -> None:
    """Nothing may write that no lock speaks of; the others do not wait for it."""
    first, other = another(instance, "vps_1"), another(instance, "vps_2")
    due = FakeHost("due", {"hold *": "held 1", "systemctl show *": shown, "*": ""})
    hosts(FakeHost("uno"), due)
    monkeypatch.setattr(passes, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(passes, "SHARE", 0.0)
    stopped_with: list[bool] = []

    def copy(each: OdooInstance) -> None:
        while each.name == "vps_1":
            at_most(60, "due")
            time.sleep(0.05)

    stop = due.answer

    def noting(asked: str) -> "Answer":
        if asked.startswith("systemctl stop relevo-vps_1-"):
            lease = HELD.get()
            stopped_with.append(lease is not None and not lease.over)
        return stop(asked)

    monkeypatch.setattr(due, "answer", noting)

    went = passes.copy_all([first, other], copy, off=())

    assert [each.ended for each in went] == [ended, "copied"]
    assert bool(stopped_with) == is_stopped
    assert all(stopped_with)


def test_a_silence_within_the_time_is_no_slowness(instance: OdooInstance, hosts: Hosts) -> None:
    hosts(FakeHost("uno"), FakeHost("due", {"hold *": "held 1", "*": ""}))

    def copy(each: OdooInstance) -> None:
        raise Unreachable(f"{each.origin} did not answer")

    went = passes.copy_all([instance], copy, off=())

    assert [(each.ended, each.said) for each in went] == [("failed", "uno did not answer")]


def test_an_answer_that_nobody_foresaw_is_said_of_its_instance_alone(
    instance: OdooInstance, hosts: Hosts
) -> None:
    hosts(FakeHost("uno"), FakeHost("due", {"hold *": "held 1", "*": ""}))
    other = another(instance, "vps_2")

    def copy(each: OdooInstance) -> None:
        if each.name == "vps_1":
            int("nonsense of a host")

    went = passes.copy_all([instance, other], copy, off=())

    assert [each.ended for each in went] == ["failed", "copied"]


@pytest.mark.parametrize(("ago", "ended"), [(300.0, "alone"), (3600.0, "copied")])
def test_who_wants_fewer_copies_than_another_on_the_host_is_copied_when_it_is_due(
    instance: OdooInstance, hosts: Hosts, ago: float, ended: str
) -> None:
    patient = another(instance, "vps_2").model_copy(
        update={"schedules": Schedules(filestore_seconds=3600)}
    )
    kept = json.dumps({"at": time.time() - ago})
    answers: dict[str, Answer] = {"hold *": "held 1", "read *synced.json": kept, "*": ""}
    hosts(FakeHost("uno"), FakeHost("due", answers))

    went = passes.copy_all([instance, patient], lambda _: None, off=())

    assert [each.ended for each in went] == ["copied", ended]


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(events, "emit", lambda who, name, *_, **__: found.append((who, name)))
    return found


@pytest.mark.usefixtures("prefect")
def test_each_copy_is_told_and_a_refusal_once(
    instance: OdooInstance, emitted: list[tuple[str, str]]
) -> None:
    everyone = [another(instance, f"vps_{number}") for number in (1, 2, 3)]
    gone = "{} of 41 files are gone"
    went = [
        Pass("vps_1", "copied"),
        Pass("vps_2", "failed", said=gone.format(9), refused=True),
        Pass("vps_3", "alone", said=passes.OFF),
    ]

    passes.tell(everyone, went, before="")
    assert emitted == [("vps_1", events.SYNCED), ("vps_2", events.REFUSED)]
    emitted.clear()
    passes.tell(everyone, went, before=f"1 of 3\nvps_2: {gone.format(8)}\nHINT: look")
    assert emitted == [("vps_1", events.SYNCED)], "once"
    emitted.clear()
    passes.tell(everyone, went, before=f"1 of 3\nvps_1: {gone.format(8)}\nHINT: look")
    assert emitted[1:] == [("vps_2", events.REFUSED)], "another's refusal was not its own"


@pytest.fixture
def client(prefect: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as made:
        yield made


def _deployed(client: SyncPrefectClient, everyone: list[OdooInstance]) -> None:
    list(apply._pool(client, POOL))
    for each in everyone:
        saved = {"$ref": {"block_document_id": str(each.save(each.name.replace("_", "-")))}}
        own = next(w for w in wanted.deployments(each) if SWITCH in w.tags)
        list(deployed.deploy(own, {"instance": saved}, deployed.read(client), POOL))


def test_a_paused_instance_is_left_alone_and_a_run_is_no_task_for_each(
    instance: OdooInstance, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("tre_1", "tre_2")
    answers: dict[str, Answer] = {}
    for name in names:
        answers |= of(name, GOOD)
    there = {"uno": FakeHost("uno", LEADS), "tre": FakeHost("tre", answers | COMMON)}
    monkeypatch.setattr(Host, "shell", lambda self: there[self.name].shell())
    everyone = [another(instance, name, "tre") for name in names]
    _deployed(client, everyone)
    assert rounds.off(everyone) == {*names}, "a new instance waits for replicate"
    for each in everyone:
        schedules.turn(each, on=True)
    assert rounds.off(everyone) == set()
    schedules.pause(everyone[1])
    assert rounds.off(everyone) == {"tre_2"} == schedules.idle(everyone)

    report = copy_context().run(copies, "tre")

    assert report.title == "the files of 1 of 2 instances on tre were copied"
    assert report.facts["tre_2"] == "left alone: its schedule is off"
    named = FlowRunFilterName(any_=["copy the files of all instances on tre"])
    asked = FlowRunFilter(name=named)
    ran = client.read_flow_runs(flow_run_filter=asked)
    assert [each.state_type for each in ran] == [StateType.COMPLETED]
    tasks = client.read_task_runs(flow_run_filter=asked)
    assert tasks == [], "which would cost the server more than the copying"
    told = _told(client, "tre_1")
    assert [each.related for each in told] == [[]], "nine rows for each, to name the run"


def _told(client: SyncPrefectClient, instance: str) -> list[ReceivedEvent]:
    """The copies of an instance that were told: they leave a little later."""
    at = datetime.now(UTC)
    asked = EventFilter(
        occurred=EventOccurredFilter(since=at - timedelta(hours=1), until=at + timedelta(hours=1)),
        event=EventNameFilter(name=[events.SYNCED]),
        resource=EventResourceFilter(id=[f"relevo.instance.{instance}"]),
    )
    return until(
        lambda: client.read_events(asked, limit=9).events,
        what="the copy is told",
        timeout_seconds=60,
    )


def test_what_is_slow_goes_on_in_a_run_of_its_own(
    instance: OdooInstance, client: SyncPrefectClient
) -> None:
    _deployed(client, [another(instance, "big_1")])
    button = client.read_deployment_by_name("rsync-filestore/big_1")

    went = rounds.go_on_alone([
        Pass("gone_1", "slow", 240.0), Pass("big_1", "slow", 240.0), Pass("vps_2", "copied"),
    ])  # fmt: skip

    assert [(each.instance, each.ended) for each in went] == [
        ("gone_1", "failed"), ("big_1", "slow"), ("vps_2", "copied"),
    ]  # fmt: skip
    assert "rsync-filestore/gone_1 could not be started" in went[0].said, "it was removed meanwhile"
    begun = [each for each in client.read_flow_runs() if each.deployment_id == button.id]
    assert [each.parameters.get("kind") for each in begun] == ["filestore"]
    assert "by-schedule" in begun[0].tags
