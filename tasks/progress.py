"""Progress of long commands, shown in the UI while they run."""

import re
from collections.abc import Callable

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext

from tasks.policy import log


def percent(said: str) -> float | None:
    r"""The last percentage that a tool of PostgreSQL printed.

    >>> percent("1024/4096 kB (25%), 0/1 tablespace\r2048/4096 kB (50%), 0/1 tablespace")
    50.0
    """
    found = re.findall(r"\((\d+)%\)", said)
    return float(found[-1]) if found else None


def reporter(what: str) -> Callable[[str], None]:
    """Make a listener that shows a percentage as an artifact, each time it has moved."""
    shown: dict[str, object] = {}

    def report(said: str) -> None:
        now = percent(said)
        if now is None or now == shown.get("percent"):
            return
        shown["percent"] = now
        log().info("%s: %.0f %%", what, now)
        if TaskRunContext.get() is None:
            return
        if "id" in shown:
            update_progress_artifact(artifact_id=shown["id"], progress=now)  # type: ignore[arg-type]
        else:
            shown["id"] = create_progress_artifact(progress=now, description=what)

    return report
