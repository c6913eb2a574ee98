"""Documents whose file is nowhere: a database compared with the files beside it."""

import re

from blocks import pinned
from blocks.errors import CommandFailed
from blocks.instance import OdooInstance, Place
from tasks.filestore.verdict import not_copied
from tasks.odoo import customers
from tasks.odoo.customers import DOCUMENTS, Database
from tasks.run.document import Document
from tasks.run.step import log, step

CHUNK = 5000
FILE = re.compile(r"[0-9a-f]{2,3}/[0-9a-f]{40}")
MOST_BYTES, ASK_SECONDS = 1 << 30, 600
# Run as Odoo's system user and role: the names travel from psql to the shell on the host itself,
# so that a million of them cost nothing. A password comes by standard input.
MISSING = """
set -o pipefail
bin=$1 root=$2 names=$3 bytes=$4
IFS= read -r PGPASSWORD || true
[ -z "$PGPASSWORD" ] || export PGPASSWORD
"$bin/psql" -XqAt --no-password -v ON_ERROR_STOP=1 -c "$names" | head -c "$bytes" |
    while IFS= read -r name; do
        case $name in :*) ;; *) [ -f "$root/$name" ] && continue ;; esac
        printf '%s\\n' "$name"
    done
"""
# Names of files, and behind a colon what is kept in another storage: how many, and in which.
NAMES = """
SELECT DISTINCT store_fname FROM public.ir_attachment
WHERE store_fname ~ '^[0-9a-f]{2,3}/[0-9a-f]{40}$'
UNION ALL
SELECT ':' || count(*) || ':' || min(left(split_part(store_fname, ':', 1), 20))
FROM public.ir_attachment
WHERE store_fname <> '' AND store_fname !~ '^[0-9a-f]{2,3}/[0-9a-f]{40}$' HAVING count(*) > 0
"""
ELSEWHERE = re.compile(r":([0-9]{1,18}):(.{0,20})")
BEHIND = """
SELECT a.id, a.name, coalesce(a.res_model || ',' || a.res_id, '') AS record,
    coalesce((SELECT p.name FROM public.res_users u JOIN public.res_partner p
        ON p.id = u.partner_id WHERE u.id = a.create_uid), '') AS author,
    coalesce(to_char(a.create_date, 'YYYY-MM-DD HH24:MI:SS'), '') AS created, a.store_fname
FROM public.ir_attachment a WHERE a.store_fname = ANY($1::text[]) ORDER BY a.id
"""


@step("compare the documents of {instance.name} with the files on {place}")
def find_missing(instance: OdooInstance, place: Place) -> list[Document]:
    """Name every document that the database of a place knows and whose file it has not.

    A database that cannot be read is named in their stead: nothing is known of its documents. So is
    one of another role's, which is not copied, and what is kept in another storage.
    """
    found = customers.odoo(place, DOCUMENTS)
    missing = [_unread(name, why) for name, why in found.barred.items()]
    missing += [_foreign(name, why) for name, why in found.foreign.items()]
    for database in found.databases:
        missing += _try(database)
    if lost := sum(each.is_known for each in missing):
        log().warning("%d documents of %s have no file on %s", lost, instance.name, place)
    return missing


def _unread(database: str, why: str) -> Document:
    sentence = f"{database}: its documents cannot be read: {why}"
    return Document(database, 0, "", "", "", "", why=sentence, kind="unread")


def _foreign(database: str, why: str) -> Document:
    sentence = f"{database}: it belongs to another role, and its files are not followed: {why}"
    return Document(database, 0, "", "", "", "", why=sentence, kind="not copied")


def _elsewhere(database: str, line: str) -> Document | None:
    """Read what a database says of another storage; its words are the customer's."""
    if not (found := ELSEWHERE.fullmatch(line)):
        return None
    said = not_copied(database, int(found[1]), found[2])
    return Document(database, 0, "", "", "", "", why=said, kind="not copied")


def _try(database: Database) -> list[Document]:
    """Look into one database; one of another Odoo's that ours may not read is no concern of it."""
    try:
        return _missing_in(database)
    except CommandFailed as error:
        log().warning("documents of %s cannot be read: %s", database.name, error.message)
        why = error.message.splitlines()[-1]
        return [(_unread if database.is_odoos else _foreign)(database.name, why)]


def _missing_in(database: Database) -> list[Document]:
    # The database that says them is the customer's.
    said = _names_without_file(database)
    names = [name for name in said if FILE.fullmatch(name)]
    chunks = (names[start : start + CHUNK] for start in range(0, len(names), CHUNK))
    elsewhere = (_elsewhere(database.name, line) for line in said)
    missing = [document for chunk in chunks for document in _documents(database, chunk)]
    return [*missing, *(each for each in elsewhere if each)]


def _names_without_file(database: Database) -> list[str]:
    place, shell = database.place, database.place.host.shell()
    peer, by_password = _argv(database), _argv(database, password=True)
    done = shell.run(
        peer, user=place.odoo.user, stdin="\n", timeout_seconds=3600, check=not database.password
    )
    if done.status != 0:
        stdin = f"{database.password}\n"
        done = shell.run(by_password, user=place.odoo.user, stdin=stdin, timeout_seconds=3600)
    return done.stdout.splitlines()


def _argv(database: Database, *, password: bool = False) -> tuple[str, ...]:
    place, cluster = database.place, database.place.cluster
    told = pinned.settings(
        version=cluster.version, superuser=False, writes=False, seconds=ASK_SECONDS
    )
    return (
        "env", f"PGHOST={'127.0.0.1' if password else cluster.sockets}", f"PGPORT={cluster.port}",
        f"PGUSER={database.role}", f"PGDATABASE={database.name}", "PGCONNECT_TIMEOUT=10",
        f"PGOPTIONS={pinned.options(told)}",
        "bash", "-c", MISSING, "missing", str(cluster.bin_dir),
        str(place.odoo.data_dir / "filestore" / database.name), NAMES,
        str(MOST_BYTES),
    )  # fmt: skip


def _documents(database: Database, names: list[str]) -> list[Document]:
    """Name the documents behind files."""
    return [
        Document(
            database.name, int(row["id"] or 0), str(row["name"]), str(row["record"]),
            str(row["created"]), str(row["store_fname"]), str(row["author"]),
        )
        for row in database.ask(BEHIND, names)
    ]  # fmt: skip
