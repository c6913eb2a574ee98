"""What is noted of a time machine: which second a drill has opened, and what people were told."""

from dataclasses import dataclass

from tasks.records.kinds import Stamp
from tasks.records.schema import Record


@dataclass(frozen=True, kw_only=True)
class Proven(Stamp):
    """When a second of the past was tried, and why it could not be opened; at the recovery host."""

    name = "notes/proven"
    moment: float
    failed: str = ""
    missing: int = 0


@dataclass(frozen=True, kw_only=True)
class Warned(Record):
    """Which mass changes of the last day were told; at the recovery host."""

    name = "notes/warned"
    keys: tuple[str, ...] = ()
