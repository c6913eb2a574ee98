"""Seconds that people care about."""

from datetime import UTC, datetime

from prefect.context import FlowRunContext


class Stopwatch:
    """Counts from the moment the button was pressed, or from now without a server."""

    def __init__(self, *, from_now: bool = False) -> None:
        self.begun = datetime.now(UTC)
        run = FlowRunContext.get()
        pressed = run.flow_run.created if run and run.flow_run and not from_now else None
        if pressed is not None:
            self.begun = min(self.begun, pressed)

    def read(self) -> str:
        return f"{(datetime.now(UTC) - self.begun).total_seconds():.1f}"
