"""A run ends red when something is left to do, and says what, after all else has been done."""

from pathlib import PurePosixPath
from typing import Literal

import pytest
from pydantic import SecretStr

from blocks.cluster import Cluster
from blocks.errors import CommandFailed
from blocks.host import Host
from blocks.instance import OdooInstance, Place, Replication
from blocks.odoo import Odoo
from tasks.odoo import service
from tasks.odoo.service import Served
from tasks.run import terminal
from tasks.run.outcome import Outcome
from tests.fakes import Answer, FakeHost

POINTED = Outcome(done=True, sentence="by hand: point shop.example.com at 192.0.2.2")
SHOWN = Outcome(done=False, sentence="nginx on due does not accept its configuration")


RUNS = {"systemctl is-active odoo.service": "active\n"}


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> dict[str, Answer]:
    """What the place that serves answers, where Odoo runs."""
    answers: dict[str, Answer] = dict(RUNS)
    monkeypatch.setattr(Host, "shell", lambda self: FakeHost(self.name, answers).shell())
    return answers


@pytest.mark.usefixtures("due")
def test_an_instance_is_whole_when_all_is_done_whatever_the_sentences_say() -> None:
    instance = _instance()

    with terminal.without_server():
        service.require_whole(instance, instance.recovery, Served(["a"], []).outcome, POINTED)


def test_odoo_that_died_after_its_answer_leaves_nothing_whole(due: dict[str, Answer]) -> None:
    due["systemctl is-active odoo.service"] = "activating\n"

    with terminal.without_server(), pytest.raises(CommandFailed, match="stopped since Odoo ans"):
        service.require_whole(_instance(), _instance().recovery, Served(["a"], []).outcome)


@pytest.mark.usefixtures("due")
def test_what_is_left_to_do_is_named_and_nothing_else() -> None:
    instance, served = _instance(), Served(["a"], ["b: 500", "c: 502"])

    with terminal.without_server(), pytest.raises(CommandFailed) as said:
        service.require_whole(instance, instance.recovery, served.outcome, SHOWN, POINTED)

    assert said.value.message == (
        "vps_1 is served from due, but Odoo does not answer for b: 500; c: 502; "
        "nginx on due does not accept its configuration"
    )


def _place(kind: Literal["origin", "recovery"], name: str) -> Place:
    host = Host(name=name, address="192.0.2.1", peer_address="192.0.2.1")
    return Place(kind=kind, host=host, cluster=Cluster(version=13), odoo=Odoo())


def _instance() -> OdooInstance:
    secret = SecretStr("x")
    return OdooInstance(
        name="vps_1", origin=_place("origin", "uno"), recovery=_place("recovery", "due"),
        directory=PurePosixPath("/srv/vps_1"),
        replication=Replication(password=secret, rewind_password=secret), signing_key=secret,
    )  # fmt: skip
