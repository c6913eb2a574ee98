"""A table that Odoo has written of chosen records, made harmless for spreadsheets."""

from __future__ import annotations

import csv
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any  # Python 3.8

from ..bounded import read_text
from ..durable import sync
from ..spreadsheet import tame_file

SAID_BYTES, MOST_BYTES = 4 << 20, 512 << 20
RAW, SAID = ".raw", ".said"


def table(output: str) -> dict[str, Any]:
    """Write the table anew with no formula in it; say how Odoo fared, and how many records it has.

    What wrote it is a customer's Odoo: so it is read as anybody's words are.
    """
    try:
        said = json.loads(read_text(output + SAID, SAID_BYTES))
    except (FileNotFoundError, ValueError):
        return {"silent": True}
    if "lacking" not in said:
        return {"refused": str(said.get("refused", "")), "complaint": str(said.get("failed", ""))}
    raw = os.lstat(output + RAW)
    if not stat.S_ISREG(raw.st_mode) or raw.st_size > MOST_BYTES:
        return {"refused": "too-big"}
    tame_file(Path(output + RAW), Path(output))
    sync(output)
    sync(os.path.dirname(output))
    return {"rows": _rows(output), "lacking": [int(each) for each in said["lacking"]]}


def _rows(path: str) -> int:
    """Count the records below the heads, which may go on over several lines."""
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return max(0, sum(1 for _ in csv.reader(file)) - 1)
