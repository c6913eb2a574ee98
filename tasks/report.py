"""What a procedure says at its end: one artifact, in sentences with the names in them."""

import re
from dataclasses import dataclass, field, replace

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from tasks import bare
from tasks.documents import Document
from tasks.policy import log
from tasks.timing import steps

SHOWN = 5000


@dataclass(frozen=True)
class Report:
    """A title, facts, and the documents that need somebody's attention."""

    title: str
    facts: dict[str, str]
    documents: list[Document] = field(default_factory=list)

    def markdown(self) -> str:
        """
        >>> print(Report("vps_1 is home", {"downtime": "3.1 s"}).markdown())
        # vps_1 is home
        <BLANKLINE>
        | | |
        |---|---|
        | downtime | 3.1 s |
        """
        lines = [f"# {self.title}", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in self.facts.items()]
        if self.documents:
            lines += ["", f"## {len(self.documents)} documents whose file is missing", ""]
            lines += [
                "| database | id | name | record | author | created | file |",
                "|---|---|---|---|---|---|---|",
            ]
            lines += [
                f"| {_cell(d.database)} | {d.attachment} | {_cell(d.name)} | {_cell(d.record)} "
                f"| {_cell(d.author)} | {d.created} | {d.file} |"
                for d in self.documents[:SHOWN]
            ]
        return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def publish(report: Report, *, key: str) -> Report:
    """Show a report in the UI, and in the log for whoever works without one."""
    if bare.JOURNAL.get():
        report = replace(report, facts={**report.facts, "log of this run": bare.JOURNAL.get()})
    publish_text(report.markdown() + timeline(steps()), key=key, title=report.title)
    return report


def timeline(taken: list[tuple[str, float]]) -> str:
    """
    >>> print(timeline([("promote due", 0.61)]))
    <BLANKLINE>
    <BLANKLINE>
    ## Steps
    <BLANKLINE>
    | | seconds |
    |---|---|
    | promote due | 0.6 |
    """
    if not taken:
        return ""
    rows = [f"| {_cell(title)} | {seconds:.1f} |" for title, seconds in taken]
    return "\n".join(["", "", "## Steps", "", "| | seconds |", "|---|---|", *rows])


def publish_text(text: str, *, key: str, title: str) -> None:
    """Show a page under a key, where its history is kept."""
    log().info("%s", text)
    if FlowRunContext.get() is not None:
        create_markdown_artifact(text, key=slug(key), description=title)


def slug(key: str) -> str:
    """
    >>> slug("failover-vps_uno")
    'failover-vps-uno'
    """
    return re.sub(r"[^a-z0-9]+", "-", key.lower())
