"""Write a database of a cluster as Odoo's own backup, which its database manager restores.

Written by Relevo; python3.8 and the standard library are all that it needs, with PostgreSQL's own
programs. It runs as Odoo's user, and asks as Odoo's role.

    bringback pack FACTS              the facts are JSON: see Facts
    bringback link FACTS DATABASE...  give what only the trash has a second name below a folder
    bringback table FACTS             let no text be a formula in what Odoo has written of records
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from typing import Any  # Python 3.8

from ..bounded import run
from ..durable import sync
from .files import find
from .table import table

MARK = "RELEVO "
ASK_SECONDS, ASK_BYTES = 3600.0, 512 << 20
NAMED = 200  # of the missing files
KEPT_BYTES = 1 << 30  # of the disk, what is left free in any case
HAS = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relname = 'ir_module_module'
"""
FILES = """
SELECT DISTINCT store_fname FROM public.ir_attachment WHERE length(store_fname) IN (43, 44)
"""
ROWS = "SELECT count(*) FROM public.ir_attachment"
BEHIND = """
SELECT coalesce(json_agg(json_build_array(a.id, a.name,
    coalesce(a.res_model || ',' || a.res_id, ''), a.store_fname)), '[]')
FROM public.ir_attachment a WHERE a.store_fname = ANY(:'names'::text[])
"""
MODULES = """
SELECT coalesce(json_object_agg(name, latest_version), '{}') FROM public.ir_module_module
WHERE state = 'installed'
"""
SERIES = re.compile(r"^((?:saas~)?\d+\.\d+)\.")
PINNED = (
    "-c search_path=pg_catalog,pg_temp -c lock_timeout=60s -c jit=off -c DateStyle=ISO "
    "-c row_security=off -c default_transaction_read_only=on -c local_preload_libraries="
)


class Failed(Exception):
    """It cannot be written; the sentence says why."""


@dataclass(frozen=True)
class Facts:
    """Where the cluster is, and where the files are."""

    bin: str
    socket: str
    port: int
    role: str
    database: str
    filestore: str
    trash: str
    output: str

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGHOST": self.socket,
            "PGPORT": str(self.port), "PGUSER": self.role, "PGDATABASE": self.database,
            "PGOPTIONS": PINNED, "PGCLIENTENCODING": "UTF8",
        }  # fmt: skip


def ask(facts: Facts, sql: str, **names: str) -> str:
    variables = [word for name, value in names.items() for word in ("-v", f"{name}={value}")]
    argv = [f"{facts.bin}/psql", "-XAtq", "-w", "-v", "ON_ERROR_STOP=1", *variables]
    done = run(argv, stdin=sql.encode(), seconds=ASK_SECONDS, limit=ASK_BYTES, env=facts.env)
    if done.status != 0:
        raise Failed(f"{facts.database} cannot be read: {done.said[-300:]}")
    return done.out.decode("utf-8", "surrogateescape").strip()


def manifest(facts: Facts, modules: dict[str, str]) -> dict[str, Any]:
    """What Odoo writes beside its dumps (odoo/service/db.py, dump_db_manifest)."""
    found = SERIES.match(str(modules.get("base", "")))
    series = found[1] if found else "0.0"
    numbers = [int(each) for each in series.replace("saas~", "").split(".")]
    server = int(ask(facts, "SHOW server_version_num")) // 100
    return {
        "odoo_dump": "1",
        "db_name": facts.database,
        "version": series,
        "version_info": [*numbers, 0, "final", 0, ""],
        "major_version": series,
        "pg_version": f"{server // 100}.{server % 100}",
        "modules": modules,
    }


def write(facts: Facts) -> dict[str, Any]:
    """Write the backup, durably and whole; say what is in it, and which files nobody has."""
    if ask(facts, HAS) != "1":
        raise Failed(f"{facts.database} is no database of Odoo's")
    dump, beside = f"{facts.output}.sql", f"{facts.output}.part"
    try:
        dump_to(facts, dump)
        modules: dict[str, str] = json.loads(ask(facts, MODULES))
        said = packed(facts, dump, beside, manifest(facts, modules))
        sync(beside)
        os.replace(beside, facts.output)
        sync(os.path.dirname(facts.output))
    finally:
        for path in (dump, beside):
            if os.path.exists(path):
                os.unlink(path)
    return said


def dump_to(facts: Facts, path: str) -> None:
    argv = [f"{facts.bin}/pg_dump", "--no-password", "--no-owner", f"--file={path}"]
    env = {**facts.env, "PGOPTIONS": ""}
    with open(f"{path}.log", "wb") as log:
        done = subprocess.run(argv, stdout=log, stderr=log, env=env, check=False)
        os.fsync(log.fileno())
    with open(f"{path}.log", "rb") as log:
        said = log.read(2000).decode("utf-8", "replace").strip()
    os.unlink(f"{path}.log")
    if done.returncode != 0:
        raise Failed(f"pg_dump of {facts.database} failed: {said}")


def packed(facts: Facts, dump: str, path: str, described: dict[str, Any]) -> dict[str, Any]:
    """Pack it as Odoo does, the dump first; files are packed as they are, for most are already."""
    names = ask(facts, FILES).split()
    missing, trashed, size = [], 0, 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        archive.write(dump, "dump.sql")
        for name in names:
            found = find(facts.filestore, facts.trash, facts.database, name)
            if not found:
                missing.append(name)
                continue
            size += os.path.getsize(found)
            require_room(facts.output)
            trashed += found.startswith(f"{facts.trash}/")
            archive.write(found, f"filestore/{name}", zipfile.ZIP_STORED)
        archive.writestr("manifest.json", json.dumps(described, indent=4))
    return {
        "rows": int(ask(facts, ROWS)), "files": len(names), "bytes": size, "from_trash": trashed,
        "missing": len(missing), "documents": behind(facts, missing[:NAMED]),
        "modules": len(described["modules"]), "version": described["version"],
    }  # fmt: skip


def behind(facts: Facts, names: list[str]) -> list[list[Any]]:
    """Name the documents whose files nobody has."""
    if not names:
        return []
    found: list[list[Any]] = json.loads(ask(facts, BEHIND, names="{" + ",".join(names) + "}"))
    return found


def require_room(path: str) -> None:
    free = shutil.disk_usage(os.path.dirname(path)).free
    if free < KEPT_BYTES:
        raise Failed(f"the disk has {free >> 20} MB free, which are left to the clusters")


def measured(path: str) -> dict[str, Any]:
    """What the file that was made has to be where it comes to."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return {"sha256": digest.hexdigest(), "size": os.path.getsize(path)}


def link(facts: Facts, databases: list[str]) -> dict[str, Any]:
    """Lay what was deleted since where a filestore has it; say how many files nobody has."""
    linked = 0
    lost: dict[str, list[str]] = {database: [] for database in databases}
    for database in databases:
        mine = replace(facts, database=database)
        for name in ask(mine, FILES).split():
            if os.path.exists(f"{facts.filestore}/{database}/{name}"):
                continue
            found = find(facts.filestore, facts.trash, database, name)
            if not found:
                lost[database].append(name)
                continue
            target = f"{facts.output}/filestore/{database}/{name}"
            os.makedirs(os.path.dirname(target), exist_ok=True)
            second_name(found, target)
            linked += 1
    named = {each: behind(replace(facts, database=each), lost[each][:NAMED]) for each in databases}
    return {
        "linked": linked, "documents": named,
        "missing": {database: len(names) for database, names in lost.items()},
    }  # fmt: skip


def second_name(path: str, target: str) -> None:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(path, target)


def do(verb: str, facts: Facts, words: list[str]) -> dict[str, Any]:
    if verb == "link":
        return link(facts, words)
    found = table(facts.output) if verb == "table" else write(facts)
    return {**found, **measured(facts.output)} if os.path.exists(facts.output) else found


def main(arguments: list[str]) -> int:
    verb, given, *words = arguments
    facts = Facts(**json.loads(given))
    try:
        found = do(verb, facts, words)
    except Failed as error:
        found = {"failed": str(error)}
    print(MARK + json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
