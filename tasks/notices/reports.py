"""The reports of moves, kept as files on both servers: a page of Prefect's goes with its run."""

from datetime import UTC, datetime
from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Unreachable
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.host import files
from tasks.language.reader import shown
from tasks.run.moments import Clock
from tasks.run.report import Report, publish, timeline
from tasks.run.step import log, step
from tasks.run.timing import steps


def folder(instance: OdooInstance) -> PurePosixPath:
    return files.STATE / instance.name / "reports"


def hand_in(instance: OdooInstance, procedure: str, report: Report) -> Report:
    """Show the report of a move, and keep it."""
    report = publish(report, key=f"{procedure}-{instance.name}")
    keep(instance, procedure, report)
    return report


@step("keep the report of the {procedure} of {instance.name} on both servers")
def keep(instance: OdooInstance, procedure: str, report: Report) -> None:
    """Write a report down where it stays; a server that is away has none of it."""
    now = datetime.now(UTC)
    path = folder(instance) / f"{now:%Y%m%dT%H%M%SZ}-{procedure}.md"
    ended = f"\n\nEnded at {Clock(instance.timezone, now, dated=True).at(now)}.\n"
    text = shown(plain(report.markdown() + ended + timeline(steps()), lines=True)) + "\n"
    for place in (instance.recovery, instance.origin):
        try:
            files.install(place.host.shell(), path, text, mode="600")
        except (Unreachable, CommandFailed) as error:
            log().warning("%s is not kept on %s: %s", path, place, error.message)
