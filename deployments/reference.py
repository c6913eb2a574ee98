"""The pages of docs/reference that are made of the code: `python -m deployments.reference`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks import away, readiness
from tasks.probes import Need

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
HEAD = """# What a move needs, and how it is tried by day

Made of `tasks/readiness.py` and `tasks/away.py` by `python -m deployments.reference`.
`relevo check` and the board read the same list. What is lacking turns an instance red, with its
remedy.
"""


def needs() -> str:
    """Render the page of what moves need."""
    home = _table("While the origin serves", readiness.NEEDS)
    return "\n".join([HEAD, *home, "", *_table("While the recovery host serves", away.NEEDS), ""])


def _table(title: str, rows: Sequence[Need]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| need | used by | how it is tried | by whom | remedy |"
    yield "|---|---|---|---|---|"
    for row in rows:
        columns = (row.name, ", ".join(row.moves), row.tried, ", ".join(row.by), row.remedy)
        yield f"| {' | '.join(columns)} |"


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    (REFERENCE / "needs.md").write_text(needs())
