"""Documents whose file is nowhere: a database compared with the files beside it."""

import re
from dataclasses import dataclass

from blocks.instance import OdooInstance, Place
from blocks.plain import plain
from tasks.look import each, odoo_databases
from tasks.policy import log, step

CHUNK = 5000
FILE = re.compile(r"[0-9a-f]{2,3}/[0-9a-f]{40}")
# The names travel from psql to the shell on the host itself: a million of them cost nothing.
MISSING = """
set -o pipefail
PGDATABASE=$2 runuser -u postgres -- psql --cluster "$1" -XqAtc "$4" |
    while IFS= read -r name; do [ -f "$3/$name" ] || printf '%s\\n' "$name"; done
"""
HAS_DOCUMENTS = "SELECT to_regclass('public.ir_attachment') IS NOT NULL"
NAMES = (
    "SELECT DISTINCT store_fname FROM ir_attachment "
    "WHERE store_fname ~ '^[0-9a-f]{2,3}/[0-9a-f]{40}$'"
)


@dataclass(frozen=True)
class Document:
    """A document that the database knows and whose file is not there."""

    database: str
    attachment: int
    name: str
    record: str
    created: str
    file: str
    author: str = ""
    why: str = ""

    def __str__(self) -> str:
        return plain(f"{self.database}: {self.name} ({self.record}, {self.author}, {self.created})")


@step("compare the documents of {instance.name} with the files on {place}")
def find_missing(instance: OdooInstance, place: Place) -> list[Document]:
    """Name every document that the database of a place knows and whose file it has not."""
    there = each(place, odoo_databases(place), HAS_DOCUMENTS)
    missing = [doc for db in there if there[db] == "t" for doc in _missing_in(place, db)]
    if missing:
        log().warning("%d documents of %s have no file on %s", len(missing), instance.name, place)
    return missing


def _missing_in(place: Place, database: str) -> list[Document]:
    root = place.odoo.data_dir / "filestore" / database
    done = place.host.shell().run(
        ("bash", "-c", MISSING, "missing", str(place.cluster), database, str(root), NAMES),
        timeout_seconds=3600,
    )
    # They go into a statement, and the database that says them is the customer's.
    names = [name for name in done.stdout.split("\n") if FILE.fullmatch(name)]
    chunks = (names[start : start + CHUNK] for start in range(0, len(names), CHUNK))
    return [document for chunk in chunks for document in _documents(place, database, chunk)]


def _documents(place: Place, database: str, names: list[str]) -> list[Document]:
    """Name the documents behind files; the names have the form of a sha1 and no other."""
    listed = ", ".join(f"'{name}'" for name in names)
    rows = place.cluster.query(
        place.host.shell(),
        "SELECT id, name, coalesce(res_model || ',' || res_id, '') AS record, "
        "coalesce((SELECT p.name FROM res_users u JOIN res_partner p ON p.id = u.partner_id "
        "WHERE u.id = a.create_uid), '') AS author, "
        "coalesce(to_char(create_date, 'YYYY-MM-DD HH24:MI:SS'), '') AS created, store_fname "
        f"FROM ir_attachment a WHERE store_fname IN ({listed}) ORDER BY id",
        database=database,
    )
    return [
        Document(
            database, int(row["id"] or 0), str(row["name"]), str(row["record"]),
            str(row["created"]), str(row["store_fname"]), str(row["author"]),
        )
        for row in rows
    ]  # fmt: skip
