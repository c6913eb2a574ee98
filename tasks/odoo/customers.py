"""The customers' databases of a cluster, asked as Odoo's role and never as the superuser.

A customer makes what its role owns: a table may be a view that calls a function. So nothing of ours
enters such a database with more rights than the customer has. The session begins as Odoo's own
does: its system user, by peer; or the password of odoo.conf, on loopback.

One bad database does not stop the others: each is asked alone, and what cannot be asked is named.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field

from blocks.errors import CommandFailed, StatementFailed, Unreachable
from blocks.instance import Place
from blocks.sql import Login, Parameter, Question, Row
from tasks.odoo import odoo_conf, odoo_settings
from tasks.run.step import log

AT_ONCE = 4
NO_ENTRY = "28"  # the class of SQLSTATE that says who may not come in
# Templates hold no customer; -2 is what an interrupted DROP DATABASE leaves.
DATABASES = """
SELECT d.datname AS name, pg_get_userbyid(d.datdba) AS owner, r.rolname AS role,
    has_database_privilege(r.oid, d.oid, 'CONNECT') AS may
FROM pg_database d LEFT JOIN pg_roles r ON r.rolname = coalesce($1::name, pg_get_userbyid(d.datdba))
WHERE d.datallowconn AND NOT d.datistemplate AND d.datconnlimit <> -2 AND d.datname <> 'postgres'
ORDER BY d.datname
"""
# Asked of the catalogs: to_regclass complains where a schema is shut.
HAS_TABLE = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = $1) AS has
"""
MODULES, DOCUMENTS = "ir_module_module", "ir_attachment"


@dataclass(frozen=True)
class Database:
    """A database, and as whom it is asked; `why` says what keeps us from asking at all."""

    place: Place
    name: str
    owner: str
    role: str
    password: str = field(default="", repr=False)
    why: str = ""

    @property
    def is_odoos(self) -> bool:
        """It belongs to the role of this Odoo, which serves no other."""
        return self.owner == self.role

    def ask(self, sql: str, *parameters: Parameter, timeout_seconds: float = 60) -> list[Row]:
        """Ask as Odoo's role; raise CommandFailed where that is not let in, or may not."""
        question = Question(sql, parameters, timeout_seconds=timeout_seconds)
        shell = self.place.host.shell()
        try:
            return shell.ask(self.login(), question)
        except StatementFailed as error:
            if not self.password or not error.sqlstate.startswith(NO_ENTRY):
                raise
        return shell.ask(self.login(password=self.password), question)

    def login(self, *, password: str = "") -> Login:
        return self.place.cluster.login_of(
            self.role, user=self.place.odoo.user, database=self.name, password=password
        )


@dataclass(frozen=True)
class Answers:
    """What databases say, and why others cannot be asked."""

    rows: dict[str, list[Row]]
    barred: dict[str, str]


@dataclass(frozen=True)
class Found:
    """The databases of an Odoo, and its own that cannot be asked whether they are.

    `foreign` are those of other roles that keep Odoo's out, which Relevo does not follow.
    """

    databases: list[Database]
    barred: dict[str, str]
    foreign: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.databases]


def databases(place: Place) -> list[Database]:
    """The databases that Odoo's role may enter."""
    return [each for each in _all(place) if each.is_odoos or not each.why]


def _all(place: Place) -> list[Database]:
    shell = place.host.shell()
    role, password = _odoo(odoo_settings.text(place), default=place.odoo.user)
    return [
        Database(
            place, str(row["name"]), str(row["owner"]), str(row["role"] or role), password,
            why=_objection(place, row),
        )
        for row in place.cluster.query(shell, DATABASES, role)
    ]  # fmt: skip


def _odoo(conf: str, *, default: str) -> tuple[str | None, str]:
    """The role and the password with which Odoo logs in.

    No role where there is no odoo.conf yet: then each database is asked as its owner.
    """
    if not conf:
        return None, ""
    role = odoo_conf.database_role(conf, default=default)
    return role, odoo_conf.value(conf, "db_password")


def _objection(place: Place, row: Row) -> str:
    name = str(row["name"])
    if not name.isprintable():
        return f"the name {name!r} of a database on {place} holds control characters"
    if row["role"] is None:
        return "the role of Odoo does not exist"
    return "" if row["may"] else f"role {row['role']} may not connect to it"


def each(
    asked: Sequence[Database], sql: str, *parameters: Parameter, timeout_seconds: float = 60
) -> Answers:
    """Ask every one of some databases, each alone."""
    answers = Answers({}, {one.name: one.why for one in asked if one.why})
    cut_off: list[Database] = []

    def ask(one: Database) -> None:
        try:
            answers.rows[one.name] = one.ask(sql, *parameters, timeout_seconds=timeout_seconds)
        except CommandFailed as error:
            answers.barred[one.name] = error.message
        except Unreachable:
            cut_off.append(one)

    todo = [one for one in asked if not one.why]
    contexts = [copy_context() for _ in todo]  # by which a thread knows of the lease
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda context, one: context.run(ask, one), contexts, todo))
    # One that hangs takes the connection away from those that were asked beside it.
    for one in cut_off:
        try:
            answers.rows[one.name] = one.ask(sql, *parameters, timeout_seconds=timeout_seconds)
        except (CommandFailed, Unreachable) as error:
            answers.barred[one.name] = error.message
    if cut_off and not answers.rows:
        one = cut_off[0]
        raise Unreachable(
            f"no database of PostgreSQL {one.place.cluster} on {one.place} answers: "
            f"{answers.barred[one.name]}",
            hint=f"check that {one.place} is up, then retry this run",
        )
    return answers


def odoo(place: Place, table: str = MODULES, *, timeout_seconds: float = 60) -> Found:
    """Find the databases that have a table of Odoo's; name those that cannot be asked."""
    known = _all(place)
    asked = [one for one in known if one.is_odoos or not one.why]
    answers = each(asked, HAS_TABLE, table, timeout_seconds=timeout_seconds)
    ours = {one.name for one in asked if one.is_odoos}
    for name, why in answers.barred.items():
        log().warning("database %r on %s cannot be asked: %s", name, place, why)
    return Found(
        [one for one in asked if (rows := answers.rows.get(one.name)) and rows[0]["has"]],
        {name: why for name, why in answers.barred.items() if name in ours},
        {
            **{one.name: one.why for one in known if one not in asked},
            **{name: why for name, why in answers.barred.items() if name not in ours},
        },
    )


def odoo_databases(place: Place) -> list[str]:
    """Name the databases of a cluster that are Odoo's: those with a table of modules."""
    return odoo(place).names
