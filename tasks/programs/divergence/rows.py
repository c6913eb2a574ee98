"""The rows that only this cluster has, table by table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..spreadsheet import tame_file
from .cluster import NotRead, ask, save
from .wal import Story

DATABASES = """
SELECT json_object_agg(oid, json_build_array(datname, pg_get_userbyid(datdba)))
FROM pg_database WHERE datallowconn
"""
TABLES = """
SELECT coalesce(json_agg(t), '[]') FROM (
    SELECT pg_relation_filenode(c.oid)::bigint AS node, n.nspname AS schema, c.relname AS name,
        pg_get_userbyid(c.relowner) AS owner, c.relkind AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
) AS t
"""  # noqa: E501
MODELS = """
SELECT coalesce(json_object_agg(replace(model, '.', '_'), model), '{}') FROM public.ir_model
"""
ROWS = """
SELECT count(*) FROM :"schema".:"table" WHERE xmin::text::bigint = ANY(:'xids'::bigint[]);
"""
CSV = """
COPY (SELECT * FROM :"schema".:"table" WHERE xmin::text::bigint = ANY(:'xids'::bigint[]))
TO STDOUT (FORMAT csv, HEADER);
"""


def export(
    config: dict[str, Any], socket: Path, story: Story
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write one CSV a table; return what was found where, and what could not be read."""
    found: list[dict[str, Any]] = []
    unread: list[str] = []
    databases = json.loads(ask(config, socket, "postgres", DATABASES))
    touched = story.touched()
    for oid in sorted({database for database, _ in touched}):
        database, owner = databases.get(str(oid), (None, ""))
        if database is None:
            continue
        mine = {node: counts for (where, node), counts in touched.items() if where == oid}
        try:
            tables = json.loads(ask(config, socket, database, TABLES, role=owner))
            models = read_models(config, socket, database, tables)
        except NotRead as error:
            unread.append(str(error))
            continue
        for table in sorted(tables, key=lambda each: int(each["node"] or 0)):
            if table["node"] in mine:
                rows, why = write_rows(config, socket, database, table, story.committed)
                unread += why
                model = models.get(table["name"], "")
                found.append(summary(database, table, model, rows, mine[table["node"]]))
    return found, unread


def summary(
    database: str, table: dict[str, Any], model: str, rows: int, counts: dict[str, int]
) -> dict[str, Any]:
    """Say of one table how many of its rows are written, and what was done to it."""
    return {
        "database": database,
        "table": f"{table['schema']}.{table['name']}",
        "model": model,
        "rows": rows,
        **{kind: counts.get(kind, 0) for kind in ("inserted", "updated", "deleted")},
    }


def read_models(
    config: dict[str, Any], socket: Path, database: str, tables: list[dict[str, Any]]
) -> dict[str, str]:
    """Read Odoo's names of the tables, as the owner of the table that holds them."""
    for each in tables:
        if (each["schema"], each["name"]) == ("public", "ir_model"):
            models: dict[str, str] = json.loads(
                ask(config, socket, database, MODELS, role=each["owner"])
            )
            return models
    return {}


def write_rows(
    config: dict[str, Any], socket: Path, database: str, table: dict[str, Any], xids: set[int]
) -> tuple[int, list[str]]:
    """Write the rows whose version one of these transactions wrote; return how many, or why not.

    They are asked for as the table's owner: what an index or a type calls, that role has made.
    """
    names = {"role": table["owner"], "schema": table["schema"], "table": table["name"]}
    # Numbers of our own; as an argument they could be too long.
    given = "\\set xids {" + ",".join(map(str, sorted(xids))) + "}\n"
    try:
        rows = int(ask(config, socket, database, given + ROWS, **names))
        if rows:
            folder = Path(config["output"], plain(database))
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{plain(table['schema'])}.{plain(table['name'])}.csv"
            raw = path.with_suffix(".raw")
            save(config, socket, database, given + CSV, raw, **names)
            tame_file(raw, path)
    except NotRead as error:
        return 0, [f"{table['schema']}.{table['name']} of {error}"]
    return rows, []


def plain(name: str) -> str:
    """Make a file's name of any database's or table's.

    >>> plain("a/b..c"), plain("res_partner")
    ('a_b__c', 'res_partner')
    """
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)
