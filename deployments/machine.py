"""What `--json` prints: one JSON document for each command, of fields that stay.

A field is never taken away and never means something else within one VERSION; new ones may come.
Sizes are bytes, times ISO 8601 in UTC, durations seconds; what is not known is null. A document is
ASCII, so that nothing in it moves a cursor. `say` is the door for every command that has one;
deployments/documents.py lists them.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

VERSION = 1


def _iso(moment: datetime) -> str:
    """
    >>> from datetime import timedelta, timezone
    >>> _iso(datetime(2026, 11, 28, 9, 30, tzinfo=timezone(timedelta(hours=-3))))
    '2026-11-28T12:30:00Z'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str)]


def moment(seconds: float | None) -> datetime | None:
    """A time that the hosts keep as seconds since 1970."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def now() -> datetime:
    return datetime.now(UTC)


class Fields(BaseModel):
    """A part of a document; the description of a field is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Document(Fields):
    """What every document begins with."""

    version: int = Field(default=VERSION, description="The version of these fields.")
    command: str = Field(description="The command that made it.")
    at: Moment = Field(default_factory=now, description="When it was made.")


class Server(Fields):
    """One of the two servers of an instance."""

    name: str = Field(description="Its name.")
    address: str = Field(description="The address that the runner uses.")
    cluster: str = Field(description="Its cluster: the version and the name.")


class Listed(Fields):
    """An instance, as the inventory has it."""

    instance: str = Field(description="Its name in the inventory.")
    origin: Server
    recovery: Server
    domains: tuple[str, ...] = Field(description="The names under which customers reach it.")


class ListDocument(Document):
    """`relevo list --json`."""

    command: Literal["list"] = Field(default="list", description="`list`.")
    instances: tuple[Listed, ...] = Field(description="In the order of the inventory.")


class End(Fields):
    """One of the two servers, as it was seen."""

    server: str = Field(description="Its name.")
    role: str = Field(
        description="`primary`, `standby`, `down`, `starting`, `gone`, `silent`, `refused`, "
        "`not known`, or what PostgreSQL said."
    )


class Standing(Fields):
    """Who serves an instance now, asked of the clusters."""

    instance: str = Field(description="Its name in the inventory.")
    origin: End
    recovery: End
    served_from: tuple[Literal["origin", "recovery"], ...] = Field(
        description="Where PostgreSQL accepts writes; both at once is an emergency."
    )
    known: bool = Field(description="Whether it is known who serves.")
    why: str | None = Field(description="Why it is not known, or that nobody serves.")


class StatusDocument(Document):
    """`relevo status --json`."""

    command: Literal["status"] = Field(default="status", description="`status`.")
    instances: tuple[Standing, ...] = Field(description="In the order of the inventory.")


class Checked(Fields):
    """The readiness of an instance, as the board shows it."""

    instance: str = Field(description="Its name in the inventory.")
    colour: Literal["green", "amber", "red"] = Field(description="The worst of its findings.")
    why: tuple[str, ...] = Field(description="What speaks against green, in sentences.")
    measured_at: Moment = Field(description="When it was measured.")
    served_from: Literal["origin", "recovery", "both"] | None = Field(
        description="Where PostgreSQL accepts writes."
    )
    under_way: str | None = Field(description="The procedure that holds the instance now.")
    streaming: bool | None = Field(description="Whether the standby streams.")
    synchronous: bool | None = Field(
        description="Whether commits wait for the recovery host; null where they are not to."
    )
    lag_bytes: int | None = Field(description="WAL that the standby has not replayed.")
    lag_seconds: float | None = Field(description="Time that the standby is behind.")
    slot: str | None = Field(description="The state of the replication slot.")
    slot_kept_bytes: int | None = Field(description="WAL that the slot keeps at the origin.")
    files_synced_at: Moment | None = Field(description="The last good copy of the files.")
    service_tried_at: Moment | None = Field(description="The last try of the service.")
    drilled_at: Moment | None = Field(description="The last drill, or move to the recovery host.")
    certificate_days: int | None = Field(description="Whole days that the certificate is valid.")
    disk_free_ratio: float | None = Field(description="Free share of the recovery disk, 0 to 1.")
    predicted_rto_seconds: float | None = Field(
        description="How long a failover is expected to take."
    )


class CheckDocument(Document):
    """`relevo check --json`."""

    command: Literal["check"] = Field(default="check", description="`check`.")
    colour: Literal["green", "amber", "red"] | None = Field(
        description="The worst of all; null where there are no instances."
    )
    instances: tuple[Checked, ...] = Field(description="In the order of the inventory.")


class Loss(Fields):
    """What a procedure may lose."""

    lossless: bool = Field(description="Whether nothing that was acknowledged is lost.")
    sentence: str = Field(description="The loss in words, as the plan states it.")
    after: Moment | None = Field(description="Commits after this time may be lost.")
    seconds: float | None = Field(description="How long before the plan that was.")
    about_bytes: int | None = Field(description="About so much WAL, at its usual rate.")


class PlanDocument(Document):
    """`relevo plan PROCEDURE NAME --json`."""

    command: Literal["plan"] = Field(default="plan", description="`plan`.")
    procedure: str = Field(description="What would be done.")
    instance: str = Field(description="Its name in the inventory.")
    measured_at: Moment = Field(description="When it was measured, by the recovery host's clock.")
    origin: End
    recovery: End
    kind: str = Field(
        description="`planned`, `forced`, `follow`, `rewind`, `reclone` or `refused`."
    )
    loss: Loss
    lag_bytes: int | None = Field(description="WAL that the standby has not replayed.")
    lag_seconds: float | None = Field(description="Time that the standby is behind.")
    documents_missing: int | None = Field(description="Documents whose file is missing.")
    not_copied: tuple[str, ...] = Field(description="What is not copied, in sentences.")
    predicted_seconds: float | None = Field(description="Expected time until Odoo answers.")
    asks_whether_down: bool = Field(
        description="Whether somebody has to confirm that the origin is down and stays down."
    )
    refusals: tuple[str, ...] = Field(description="Why it would be refused now.")
    lacking: tuple[str, ...] = Field(description="What is missing, without stopping it.")
    before: tuple[str, ...] = Field(description="What a person does first, in English.")
    then: tuple[str, ...] = Field(description="What Relevo then does, in this order, in English.")


class Done(Fields):
    """A procedure that changed, or was to change, an instance."""

    run: str = Field(description="Prefect's id of the run, or the log file of a shell.")
    procedure: str = Field(description="What was done.")
    person: str | None = Field(description="Who approved it, or the login of the shell.")
    reason: str | None = Field(description="Why, as that person said.")
    runner: str = Field(description="The machine that ran it.")
    begun: Moment = Field(description="When it took the lock of the instance.")
    ended: Moment | None = Field(description="Null while it runs, or where it was cut off.")
    outcome: Literal["done", "failed"] | None = Field(description="How it ended.")
    said: str | None = Field(description="Why it failed.")
    kept_on: tuple[Literal["origin", "recovery"], ...] = Field(
        description="The servers that say so; whoever owns an origin can write there what he likes."
    )
    end_kept_on: tuple[Literal["origin", "recovery"], ...] = Field(
        description="The servers that say how it ended; the recovery server's word counts."
    )


class HistoryDocument(Document):
    """`relevo history NAME --json`."""

    command: Literal["history"] = Field(default="history", description="`history`.")
    instance: str = Field(description="Its name in the inventory.")
    asked: tuple[Literal["origin", "recovery"], ...] = Field(
        description="The servers whose history was read."
    )
    entries: tuple[Done, ...] = Field(description="Oldest first.")


def text(document: Document) -> str:
    r"""Write a document down.

    >>> print(text(ListDocument(at=datetime(2026, 11, 28, 12, tzinfo=UTC), instances=())))
    {
      "version": 1,
      "command": "list",
      "at": "2026-11-28T12:00:00Z",
      "instances": []
    }
    """
    return json.dumps(document.model_dump(mode="json"), indent=2)


def say(document: Document) -> None:
    """Print a document; nothing else goes to standard output beside it."""
    print(text(document), flush=True)  # noqa: T201
