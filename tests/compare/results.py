"""One JSON line a contender and accident; `python -m tests.compare.results` makes the table."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.compare.accidents import ACCIDENTS

KEPT = Path("docs/benchmarks/compare.jsonl")
PAGE = Path("docs/compare.md")
HEAD = (
    "| accident | who | lost at the failover | files missing then | lost for good "
    "| files broken for good | two writers, s | longest outage, s | failover, s "
    "| home, s (downtime) | left |"
)
Line = dict[str, Any]


def read(path: Path) -> dict[tuple[str, str], Line]:
    """The newest line of each contender and accident."""
    if not path.exists():
        return {}
    lines = (json.loads(text) for text in path.read_text().splitlines())
    return {(each["accident"], each["contender"]): each for each in lines}


def table(lines: dict[tuple[str, str], Line]) -> str:
    """
    >>> seen = {"accident": "power loss", "contender": "Relevo", "acknowledged": 90, "lost": 0,
    ...     "files_broken": 0, "lost_while_away": 1, "files_missing_while_away": None,
    ...     "two_writers_seconds": 0.0, "longest_outage": 7.5, "failover_seconds": 6.5,
    ...     "home_seconds": 30.25, "home_downtime": 4.0, "attempts": 1,
    ...     "ended": "home, with a standby"}
    >>> print(table({("power loss", "Relevo"): seen}).splitlines()[-1])
    | power loss | Relevo | 1 | - | 0 of 90 | 0 | 0 | 7.5 | 6.5 | 30.2 (4) | home, with a standby |
    """
    columns = HEAD.count("|") - 1
    rows = [HEAD, "|---" * columns + "|"]
    names = [each.name for each in ACCIDENTS]
    ordered = sorted(lines, key=lambda key: key[1].lower(), reverse=True)
    rows += [_row(lines[key]) for key in sorted(ordered, key=lambda key: names.index(key[0]))]
    return "\n".join(rows)


def not_played(lines: dict[tuple[str, str], Line]) -> str:
    """Say what stands in no row.

    >>> not_played({("partition", "Relevo"): {}, ("power loss", "Relevo"): {}})[:50]
    'Not played: the dead comes back, planned move, two'
    """
    names = {each.name for each in ACCIDENTS} & {name for name, _ in lines}
    whole = sorted({who for _, who in lines if "repmgrd" not in who})
    found = []
    for each in ACCIDENTS:
        missing = [who for who in whole if (each.name, who) not in lines]
        if each.name not in names:
            found.append(each.name)
        elif missing:
            found.append(f"{each.name} ({', '.join(missing)})")
    return f"Not played: {', '.join(found) or 'nothing'}."


def _row(line: Line) -> str:
    away = line["failover_seconds"] is not None
    home = _said(line["home_seconds"] if away else None)
    if away and line["home_downtime"] is not None:
        home += f" ({_said(line['home_downtime'])})"
    if line["attempts"] > 1:
        home += f", {line['attempts']} attempts"
    lost = "all" if line["lost"] is None else line["lost"]
    outage = "no end" if line["lost"] is None else _said(line["longest_outage"])
    cells = (
        line["accident"], line["contender"], _said(line["lost_while_away"]),
        _said(line["files_missing_while_away"]), f"{lost} of {line['acknowledged']}",
        _said(line["files_broken"]),
        _said(line["two_writers_seconds"]), outage,
        _said(line["failover_seconds"]), home, line["ended"],
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _said(value: float | None) -> str:
    """
    >>> _said(None), _said(0.0), _said(3), _said(3.14)
    ('-', '0', '3', '3.1')
    """
    if value is None:
        return "-"
    return f"{value:.1f}" if value % 1 else f"{value:.0f}"


def seconds(spans: list[tuple[float, float]]) -> float:
    """Add spans up, what overlaps once.

    >>> seconds([(1.0, 2.0), (1.5, 3.0), (5.0, 6.0)])
    3.0
    """
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return round(total, 1)


def filled(page: str, name: str, text: str) -> str:
    r"""Put a text where the page has marks for it.

    >>> page = "a\n<!-- the sum: x -->\nold\n<!-- end of the sum -->\nb\n"
    >>> filled(page, "sum", "new") == page.replace("old", "new")
    True
    """
    before, mark, rest = page.partition(f"<!-- the {name}: ")
    command, _, rest = rest.partition("\n")
    end = f"<!-- end of the {name} -->\n"
    return f"{before}{mark}{command}\n{text}\n{end}{rest.partition(end)[2]}"


def listing() -> str:
    """The accidents, and what everybody is asked to do."""
    rows = ["| accident | what happens | what each is asked to do |", "|---|---|---|"]
    rows += [f"| {each.name} | {each.happens} | {each.asked} |" for each in ACCIDENTS]
    return "\n".join(rows)


if __name__ == "__main__":
    lines = read(Path(sys.argv[1]) if sys.argv[1:] else KEPT)
    text = filled(PAGE.read_text(), "table", f"{table(lines)}\n\n{not_played(lines)}")
    PAGE.write_text(filled(text, "accidents", listing()))
    print(table(lines), not_played(lines), sep="\n\n")
