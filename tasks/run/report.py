"""What a procedure says at its end: one artifact, in sentences with the names in them."""

import re
from dataclasses import dataclass, field, replace

from blocks.plain import markdown, plain
from tasks.run.desk import desk
from tasks.run.document import Document
from tasks.run.step import log
from tasks.run.timing import steps

SHOWN = 5000
NAME = 300


@dataclass(frozen=True)
class Report:
    """A title, facts, the documents that need somebody's attention, and how the run ended."""

    title: str
    facts: dict[str, str]
    documents: list[Document] = field(default_factory=list)
    ended: str = "Completed"

    def markdown(self) -> str:
        """
        >>> print(Report("vps_1 is home", {"downtime": "3.1 s"}).markdown())
        # vps_1 is home
        <BLANKLINE>
        | | |
        |---|---|
        | downtime | 3.1 s |
        """
        lines = [f"# {markdown(self.title)}", "", "| | |", "|---|---|"]
        lines += [f"| {markdown(name)} | {_fact(value)} |" for name, value in self.facts.items()]
        missing = [each for each in self.documents if each.is_known]
        if left := [str(each) for each in self.documents if not each.is_known]:
            lines += ["", "## Not copied, or not known", ""]
            lines += [f"- {markdown(' '.join(each.split()))}" for each in left[:SHOWN]]
        if missing:
            lines += ["", f"## {len(missing)} documents whose file is missing", ""]
            lines += [
                "| database | id | name | record | author | created | file |",
                "|---|---|---|---|---|---|---|",
            ]
            lines += [
                f"| {_name(d.database)} | {d.attachment} | {_name(d.name)} | {_name(d.record)} "
                f"| {_name(d.author)} | {_name(d.created)} | {_name(d.file)} |"
                for d in missing[:SHOWN]
            ]
        return "\n".join(lines)


class Strong(str):
    """A fact that is to be seen first."""

    __slots__ = ()


def _fact(value: str) -> str:
    said = markdown(" ".join(value.split("\n")))
    return f"**{said}**" if isinstance(value, Strong) else said


def _name(text: str) -> str:
    return markdown(plain(text, longest=NAME))


def publish(report: Report, *, key: str) -> Report:
    """Show a report in the UI, and in the log for whoever works without one."""
    if journal := desk().journal:
        report = replace(report, facts={**report.facts, "log of this run": journal})
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
    rows = [f"| {markdown(title)} | {seconds:.1f} |" for title, seconds in taken]
    return "\n".join(["", "", "## Steps", "", "| | seconds |", "|---|---|", *rows])


def publish_text(text: str, *, key: str, title: str) -> None:
    """Show a page under a key, where its history is kept."""
    text = plain(text, lines=True)
    log().info("%s", text)
    desk().show(text, key=slug(key), title=title)


def slug(key: str) -> str:
    """Say a name as Prefect's keys are written; two instances never become one.

    >>> slug("failover-vps_uno"), slug("vps__1"), slug("Mail, at night")
    ('failover-vps-uno', 'vps--1', 'mail-at-night')
    """
    return re.sub(r"_|[^a-z0-9_]+", "-", key.lower())
