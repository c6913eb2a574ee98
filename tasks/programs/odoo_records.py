"""Write chosen records of a database as a table: fed to Odoo's own shell, which gives it `env`.

Written by Relevo. It runs as Odoo's user where there is no network, on a copy that is thrown away.
Model and domain are values for Odoo, which reads them as it does for its own pages: they become
text of no statement. What it is asked stands in the file that RELEVO_ASKED names.
"""

from __future__ import annotations

import csv
import json
import os
from datetime import date
from typing import Any  # Python 3.8

AT_ONCE = 500
# Contents of files, and what stands in the other model's table.
LEFT_OUT = {"binary", "one2many"}
SAID = 300


def answer(env: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Find the records, and write them; say how it went."""
    if asked["model"] not in env:
        return {"refused": "unknown"}
    model = env[asked["model"]].with_context(active_test=False)
    if model._abstract or model._transient:  # noqa: SLF001  # Odoo's own names
        return {"refused": "nothing-kept"}
    found = model.search(asked["domain"], order="id", limit=asked["most"] + 1)
    if len(found) > asked["most"]:
        return {"refused": "too-many"}
    is_whole = written(found, asked["output"], asked["bytes"])
    lacking = sorted(set(asked["ids"]) - set(found.ids))
    return {"lacking": lacking} if is_whole else {"refused": "too-big"}


def written(found: Any, path: str, limit: int) -> bool:
    """Write a line for each record; tell whether all of them fit into the limit."""
    fields = sorted(
        (name, field.type)
        for name, field in found._fields.items()
        if field.store and field.type not in LEFT_OUT and name != "id"
    )
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([".id", *(name for each in fields for name in heads(*each))])
        for start in range(0, len(found), AT_ONCE):
            for row in found[start : start + AT_ONCE].read([name for name, _ in fields]):
                cells = (cell for name, kind in fields for cell in said(row[name], kind))
                table.writerow([row["id"], *cells])
            if file.tell() > limit:
                return False
        file.flush()
        os.fsync(file.fileno())
    return True


def heads(name: str, kind: str) -> list[str]:
    """Name the columns of a field as Odoo's import does; the name of another record is for people.

    >>> heads("country_id", "many2one"), heads("tag_ids", "many2many"), heads("name", "char")
    (['country_id/.id', 'country_id (name)'], ['tag_ids/.id'], ['name'])
    """
    if kind == "many2one":
        return [f"{name}/.id", f"{name} (name)"]
    return [f"{name}/.id"] if kind == "many2many" else [name]


def said(value: Any, kind: str) -> list[Any]:
    """Say a value in one cell, or two.

    >>> said((7, "Spain"), "many2one"), said(False, "many2one"), said([1, 2], "many2many")
    ([7, 'Spain'], ['', ''], ['1,2'])
    >>> said(False, "char"), said(False, "boolean"), said(0.0, "float"), said({"a": 1}, "json")
    ([''], ['False'], [0.0], ['{"a": 1}'])
    >>> said(date(2026, 11, 24), "date")
    ['2026-11-24']
    """
    if kind == "many2one":
        return [value[0], value[1]] if value else ["", ""]
    if kind == "many2many":
        return [",".join(map(str, value))]
    if kind == "boolean":
        return [str(bool(value))]
    if value is False or value is None:
        return [""]
    if isinstance(value, date):
        return [str(value)[:19]]
    return [json.dumps(value) if isinstance(value, (dict, list)) else value]


def main(env: Any) -> None:
    with open(os.environ["RELEVO_ASKED"], encoding="utf-8") as file:
        asked = json.load(file)
    try:
        found = answer(env, asked)
    except Exception as error:  # noqa: BLE001  # what customers' modules raise is said
        found = {"failed": f"{type(error).__name__}: {error}"[:SAID]}
    with open(asked["said"], "w", encoding="utf-8") as file:
        json.dump(found, file)
        file.flush()
        os.fsync(file.fileno())


if "env" in globals():
    main(globals()["env"])
