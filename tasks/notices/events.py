"""What happened, as events of Prefect: automations turn them into notifications.

A run without a server tells nobody; the next board sees what it did, and tells.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from http.client import HTTPException
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from blocks.instance import OdooInstance, Place
from tasks.language.reader import read_in
from tasks.notices.emitter import emit
from tasks.records import records
from tasks.records.kinds import Synced, Told
from tasks.run.desk import desk
from tasks.run.step import log, step

SYNCED, RESTING, AWAITED = "relevo.sync.succeeded", "relevo.sync.resting", "relevo.sync.awaited"
BOARD, EVERYBODY = "relevo.board.published", "all-instances"
SERVED, REFUSED, MASS = "served-elsewhere", "filestore-refused", "mass-change"
PING_SECONDS = 10
FACES = {
    SERVED: "another place serves the customers",
    "two-writers": "BOTH servers accept writes",
    "not-served": "nobody can work",
    "lag": "the standby lags behind",
    "slot-lost": "the replication slot is lost",
    "not-synchronous": "commits do not wait for the recovery host",
    REFUSED: "a copy of files was refused",
    "origin-returned": "the origin answers again after a failover",
    MASS: "many rows were deleted, or a database shrank",
}

FAULTS = ("lag", "slot-lost", REFUSED)


@step("tell that {place} serves {instance.name}")
def tell_served(instance: OdooInstance, place: Place) -> None:
    """Tell of a change of place, once."""
    if not desk().emits:
        return
    kept = records.read(instance.recovery, instance, Told) or Told()
    if kept.served != place.kind:
        emit(instance.name, SERVED, f"{instance.name} is served from {place} now")
    if place.kind == "recovery":
        emit(instance.name, RESTING, "the recovery host serves")
    # What was seen before the change was otherwise.
    after = replace(kept, served=place.kind, at=time.time(), seen=())
    records.write(instance.recovery, instance, after)


@step("note the copy of the {kind} of {instance.name}")
def tell_synced(instance: OdooInstance, kind: str) -> None:
    """Note a good copy, and reset the dead-man's switch."""
    if kind == "filestore":
        records.record_success(instance.recovery, instance, Synced)
        tell_copied(instance)


def tell_copied(instance: OdooInstance, *, apart: bool = False) -> None:
    """Reset the dead-man's switch of an instance."""
    with read_in(instance.language):
        sentence = f"the files of {instance.name} are copied"
        emit(instance.name, SYNCED, sentence, timezone=instance.timezone, apart=apart)


def tell_refusal(instance: OdooInstance, said: str) -> None:
    """Tell of a copy that refuses to go on, which will not heal by itself."""
    with read_in(instance.language):
        emit(instance.name, REFUSED, said)


@step("note that a board was published")
def tell_board(instances: Sequence[OdooInstance]) -> None:
    """Reset the dead-man's switches of the boards themselves: Prefect's, and those elsewhere.

    A switch elsewhere that does not answer ends no board: it tells by itself that it missed one.
    """
    timezone = instances[0].timezone if instances else ""
    emit(EVERYBODY, BOARD, "the readiness of all instances was measured", timezone=timezone)
    for url in sorted({each.alarms.ping_url for each in instances if each.alarms.ping_url}):
        _ping(url)


class FewRedirects(HTTPRedirectHandler):
    max_redirections = 3


def _ping(url: str) -> None:
    """Ask a switch, within PING_SECONDS in all; its address is a secret, which no log shows."""
    said = list[str]()
    asking = Thread(target=lambda: said.append(_ask(url)), daemon=True)
    asking.start()
    asking.join(PING_SECONDS)
    wrong = said[0] if said else TimeoutError.__name__
    if wrong:
        log().warning("%s was not told that a board was published: %s", _host(url), wrong)
    else:
        log().info("%s was told that a board was published", _host(url))


def _ask(url: str) -> str:
    """Ask for an address; give the kind of its error, or nothing where it has answered."""
    try:
        with build_opener(FewRedirects).open(url, timeout=PING_SECONDS):
            return ""
    except (OSError, HTTPException, ValueError) as error:
        return type(error).__name__


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def tell_refused(flow: Any, flow_run: Any, state: Any) -> None:
    """Tell, once, of a copy that refused to go on; Prefect calls this when a run has failed."""
    from tasks.orchestrator import hooks  # noqa: PLC0415  # Prefect, which a shell never loads

    hooks.tell_refused(flow, flow_run, state)
