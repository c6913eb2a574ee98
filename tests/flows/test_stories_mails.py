"""What a mail says: what, since when in the reader's time, and where to look."""

import contextlib
import socket
import time
from threading import Thread
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.events import Resource
from prefect.events.actions import SendNotification
from prefect.server.utilities.user_templates import render_user_template_sync
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types._datetime import now

from blocks.instance import OdooInstance
from deployments import automations
from deployments.automations import SILENCE
from tasks.notices import events


def test_the_silence_of_copies_is_told_in_the_time_of_whoever_is_told() -> None:
    at = {"relevo.instance": "vps_1", "relevo.at": "2026-11-25 12:18:06 (UTC-3)"}

    said = render_user_template_sync(SILENCE, {"event": {"resource": at, "occurred": now("UTC")}})

    assert "since 2026-11-25 12:18:06 (UTC-3).\n" in said


def _mails(instance: OdooInstance, **resource: str) -> dict[str, str]:
    """What each automation would say of an event, by what it is called."""
    named = {"prefect.resource.id": "prefect.flow-run.0123", **resource}
    event = {"event": SimpleNamespace(resource=Resource(named), occurred=now("UTC"))}
    with temporary_settings({PREFECT_API_URL: "https://relevo.example.com/api"}):
        told = list(automations._told([instance], [str(uuid4())]))
    return {
        each.name: render_user_template_sync(f"{action.subject}\n{action.body}", event)
        for each in told
        for action in each.actions
        if isinstance(action, SendNotification)
    }


def test_a_plan_that_waits_and_a_move_that_has_failed_are_told_with_their_pages(
    instance: OdooInstance,
) -> None:
    run = {
        "prefect.resource.name": "fail vps_1 over to due",
        "prefect.state-message": "no room on <due>\nHINT: make room",
    }

    mails = _mails(instance, **run)

    page = "https://relevo.example.com/v2/runs/flow-run/0123"
    failed, waits = (mails[f"relevo: {end}"] for end in reversed(automations.ENDS))
    assert failed.startswith("Relevo: fail vps_1 over to due: a move has failed\n")
    assert "no room on (due>\nHINT: make room" in failed
    assert "its plan waits for an approval" in waits
    assert page in failed
    assert page in waits
    assert all(
        "https://relevo.example.com/v2/artifacts/key/board" in each for each in mails.values()
    )


def pinged(instance: OdooInstance, url: str) -> OdooInstance:
    """One whose address nobody has judged: of a block that was saved before."""
    alarms = instance.alarms.model_copy(update={"ping_url": url})
    return instance.model_copy(update={"alarms": alarms})


def test_a_board_that_was_published_asks_each_dead_mans_switch_once(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    told: list[str] = []

    def ask(url: str) -> str:
        asked.append(url)
        return "TimeoutError"

    monkeypatch.setattr(events, "_ask", ask)
    watched = pinged(instance, "https://ping.example.com/1")
    monkeypatch.setattr(events, "emit", lambda _, name, *__, **___: told.append(name))

    events.tell_board([watched, watched, instance])

    assert asked == ["https://ping.example.com/1"]
    assert told == [events.BOARD]


@pytest.mark.parametrize(
    "path", ["http://127.0.0.1:nothing/secret", "http://[secret", f"http://{'a' * 64}.com/secret"]
)
def test_an_address_that_cannot_be_asked_ends_no_board_and_stands_in_no_log(
    instance: OdooInstance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    monkeypatch.setattr(events, "emit", lambda *_, **__: None)

    with caplog.at_level("INFO"):
        events.tell_board([pinged(instance, path)])

    assert "was not told that a board was published" in caplog.text
    assert "secret" not in caplog.text


def test_a_switch_that_trickles_its_answer_keeps_no_board_waiting(
    instance: OdooInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each byte comes in time, and the answer never."""
    monkeypatch.setattr(events, "emit", lambda *_, **__: None)
    monkeypatch.setattr(events, "PING_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        Thread(target=trickle, args=(server,), daemon=True).start()
        begun = time.monotonic()

        events.tell_board([pinged(instance, f"http://127.0.0.1:{port}/secret")])

    assert time.monotonic() - begun < 4
    assert "127.0.0.1 was not told that a board was published: TimeoutError" in caplog.text


def trickle(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.0 200 OK\r\nX: ")
        for _ in range(80):
            connection.sendall(b"x")
            time.sleep(0.1)
