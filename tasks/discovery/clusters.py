"""Which cluster of a server is Odoo's: the one whose databases have its table of modules."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from blocks.cluster import Cluster
from blocks.errors import RelevoError
from blocks.host import Host
from blocks.instance import Place
from blocks.names import TRIED
from blocks.odoo import Odoo
from tasks.discovery.program import Program
from tasks.odoo import customers, odoo_conf
from tasks.odoo.customers import Database
from tasks.postgres.lsclusters import Listed

ASK_SECONDS = 10
MOST_DATABASES = 200


@dataclass(frozen=True)
class Chosen:
    """A cluster of Odoo's, its databases, and what is odd about the choice."""

    listed: Listed | None
    databases: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Asked:
    """A cluster that was asked for Odoo's databases, or why it could not be."""

    listed: Listed
    databases: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        return f"{self.listed.version}/{self.listed.name}"


def choose(host: Host, listed: Sequence[Listed], found: Program) -> Chosen:
    """Ask every cluster for databases of Odoo's, as Odoo's own role."""
    away = odoo_conf.database_host(found.text)
    if away and not away.startswith("/"):
        return Chosen(None, why=f"Odoo has its databases at {away} (db_host), another server")
    port = found.port("db_port", usual=odoo_conf.POSTGRES_PORT)
    return decide([_ask(host, each, found) for each in listed], port)


def decide(asked: Sequence[Asked], port: int) -> Chosen:
    """Choose by the databases, then by the port that Odoo is told.

    >>> from pathlib import PurePosixPath as path
    >>> old, new = (Listed(13, name, port, ("online",), "postgres", path("/d"))
    ...     for name, port in (("main", 5432), ("clientes", 5544)))
    >>> decide([Asked(old), Asked(new, ("cliente1",))], 5432).remarks
    ('Odoo is told db_port 5432, and its databases are in 13/clientes at 5544',)
    """
    usual = next((each for each in asked if each.listed.port == port), None)
    having = [each for each in asked if each.databases]
    if not asked:
        return Chosen(None, why="pg_lsclusters lists no cluster")
    if not (having or usual or len(asked) == 1):
        listed = ", ".join(f"{each} at {each.listed.port}" for each in asked)
        return Chosen(None, why=f"no cluster has Odoo's port {port}: there are {listed}")
    best = usual if usual in having or not having else having[0]
    best = best or asked[0]
    unsure = [each for each in asked if each.why and (each is best or not having)]
    remarks = [f"cluster {each} {each.why}" for each in unsure]
    if not best.databases and not best.why:
        remarks.append(f"no database of {best} has Odoo's tables yet")
    if best.listed.port != port:
        remarks.append(
            f"Odoo is told db_port {port}, and its databases are in {best} at {best.listed.port}"
        )
    others = [str(each) for each in having if each is not best]
    if others:
        remarks.append(f"{', '.join(others)} has databases of Odoo's too, of another instance")
    return Chosen(best.listed, best.databases, tuple(remarks))


def _ask(host: Host, listed: Listed, found: Program) -> Asked:
    if not listed.online:
        return Asked(listed, why=f"is {','.join(listed.status)}, so it was not asked")
    if listed.version < TRIED[0]:
        return Asked(listed, why=f"is older than PostgreSQL {TRIED[0]}")
    try:
        return Asked(listed, tuple(_databases(_place(host, listed, found.user), found)))
    except RelevoError as error:
        return Asked(listed, why=f"cannot be asked: {error.message}")
    except ValidationError as error:
        sentence = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        return Asked(listed, why=f"cannot be in an inventory: {sentence}")


def _place(host: Host, listed: Listed, user: str) -> Place:
    cluster = Cluster(version=listed.version, name=listed.name, port=listed.port)
    return Place(kind="origin", host=host, cluster=cluster, odoo=Odoo(user=user))


def _databases(place: Place, found: Program) -> list[str]:
    role = odoo_conf.database_role(found.text, default=found.user)
    password = odoo_conf.value(found.text, "db_password")
    rows = place.cluster.query(
        place.host.shell(), customers.DATABASES, role, timeout_seconds=ASK_SECONDS
    )
    asked = [
        Database(place, str(row["name"]), str(row["owner"]), str(row["role"]), password)
        for row in rows[:MOST_DATABASES]
        if row["role"] and row["may"] and str(row["name"]).isprintable()
    ]
    said = customers.each(
        asked, customers.HAS_TABLE, customers.MODULES, timeout_seconds=ASK_SECONDS
    )
    return [each.name for each in asked if (got := said.rows.get(each.name)) and got[0]["has"]]
