"""Write down what only a former primary has: the rows that it committed after the fork.

Written by Relevo; runs as postgres, with python3.8 and PostgreSQL's own programs.

    divergence CONFIG

The WAL after the fork says which transactions were committed; they may have begun before it, and so
which tables they touched is read from as far back as there is WAL. The
quarantined data directory is then started as a standby of nobody, on a socket of its own in a
folder of its own, with no port; it replays its own WAL, accepts no writes, and is asked for the
rows whose version was written by one of those transactions.

What it cannot see: values that were overwritten, and rows that were deleted. It counts them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ..bounded import read_text
from ..durable import sync
from .cluster import started
from .rows import export
from .wal import read_wal


def main(argv: list[str]) -> int:
    config = json.loads(read_text(argv[0]))
    output = Path(config["output"])
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    story = read_wal(config)
    found: list[dict[str, Any]] = []
    unread: list[str] = []
    if story.touched():
        with started(config) as socket:
            found, unread = export(config, socket, story)
    write_summary(output, {
        "fork": config["fork"],
        "transactions": len(story.commits),
        "first": story.commits[0] if story.commits else "",
        "last": story.commits[-1] if story.commits else "",
        "reaches_back": story.reaches_back,
        "tables": found,
        "unread": unread,
    })  # fmt: skip
    print(f"{len(found)} tables, {sum(each['rows'] for each in found)} rows")
    return 0


def write_summary(output: Path, summary: dict[str, Any]) -> None:
    """Write the summary when the disk has it, and all that it speaks of."""
    beside = output / "summary.json.new"
    beside.write_text(json.dumps(summary, indent=2) + "\n")
    for path in (*output.rglob("*"), output):
        sync(path)
    beside.rename(output / "summary.json")
    sync(output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
