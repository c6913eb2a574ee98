"""What `--json` prints of the commands that lead to a replica: discover, doctor, replicate."""

from typing import Literal

from pydantic import Field

from deployments.machine import Document, Fields


class Missing(Fields):
    """A field of an entry that was not found."""

    field: str = Field(description="Its place in the entry: `group.field`.")
    why: str = Field(description="Why it is missing.")
    proposed: str | None = Field(description="What it might be, as YAML.")


class Discovered(Fields):
    """An entry of the inventory, as a server tells of it."""

    instance: str = Field(description="The name that it was given.")
    loads: bool = Field(description="Whether an inventory takes it as it is.")
    complete: bool = Field(description="Whether nothing is left to do before it is replicated.")
    missing: tuple[Missing, ...] = Field(description="What somebody has to fill in.")
    remarks: tuple[str, ...] = Field(
        description="What `replicate` would refuse and what somebody should know, in sentences."
    )
    yaml: str = Field(description="The entry, as it is printed without `--json`.")


class Asked(Fields):
    """A server that was asked."""

    server: str = Field(description="As it was named.")
    error: str | None = Field(description="Why not all could be asked.")
    entries: tuple[Discovered, ...] = Field(description="What the inventory has not yet.")
    drift: tuple[str, ...] = Field(
        description="What the inventory says otherwise, in sentences that begin with its instance."
    )


class DiscoverDocument(Document):
    """`relevo discover --json`."""

    command: Literal["discover"] = Field(default="discover", description="`discover`.")
    servers: tuple[Asked, ...] = Field(description="In the order in which they were named.")
    written_to: str | None = Field(description="The file that entries were added to.")


class Found(Fields):
    """What one check of the doctor's has found."""

    check: str = Field(description="Its name.")
    state: str = Field(
        description="`now`, `not asked`, `replicate`, `failover`, `failback` (what it blocks), "
        "`amber`, `next` or `well`."
    )
    said: str = Field(description="What was found, in a sentence.")
    remedy: str | None = Field(description="What fixes it.")


class Patient(Fields):
    """All that was found of an instance."""

    instance: str = Field(description="Its name in the inventory.")
    verdict: Literal["well", "to fix", "not all asked"] = Field(description="The worst of it.")
    findings: tuple[Found, ...] = Field(description="What is to be fixed first stands first.")


class DoctorDocument(Document):
    """`relevo doctor --json`."""

    command: Literal["doctor"] = Field(default="doctor", description="`doctor`.")
    instances: tuple[Patient, ...] = Field(description="In the order of the inventory.")


class SetUp(Fields):
    """How the set-up of an instance ended."""

    instance: str = Field(description="Its name in the inventory.")
    outcome: Literal["done", "failed", "there"] = Field(
        description="`there` where `--all` found its replica, and did nothing."
    )
    code: int = Field(description="The exit code of its own `relevo run replicate`.")
    said: str | None = Field(description="Why it failed, in the language of the command.")


class ReplicateDocument(Document):
    """`relevo replicate --json`."""

    command: Literal["replicate"] = Field(default="replicate", description="`replicate`.")
    instances: tuple[SetUp, ...] = Field(description="In the order in which they were named.")
