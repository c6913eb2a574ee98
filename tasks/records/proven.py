"""What came of the last second of the past that a drill has opened."""

from dataclasses import dataclass

from tasks.records.kinds import Stamp


@dataclass(frozen=True, kw_only=True)
class Proven(Stamp):
    """When a second of the past was tried, and why it could not be opened; at the recovery host."""

    name = "notes/proven"
    moment: float
    failed: str = ""
    missing: int = 0
