"""How much of an instance's past is kept, and what of its present is told."""

from pydantic import BaseModel, ConfigDict, Field


class TimeMachine(BaseModel):
    """Any second of the last days, kept on the recovery host, from the standby alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(ge=1, le=3650, description="Days of which any second can be brought back.")
    limit_gb: int = Field(
        ge=1,
        le=1_000_000,
        description="GB that it may take on the recovery host; the oldest days go first.",
    )
    base_days: int = Field(default=7, ge=1, le=365, description="Days between base backups.")
    alarm_rows: int = Field(
        default=1000,
        ge=0,
        description="Rows of a table that are deleted within ten minutes, from which on somebody "
        "is told; 0: nobody is told of mass changes.",
    )
    alarm_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Share of a table's pages on which they must stand, and of a database's size "
        "that it must lose.",
    )

    @property
    def files_days(self) -> int:
        """For how long deleted files are kept for it: the oldest base backup is older than days."""
        return self.days + self.base_days + 1
