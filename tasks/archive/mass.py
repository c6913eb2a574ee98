"""Mass changes that the time machine's program has seen: named, told once, shown for a day."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from blocks import answers
from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance
from blocks.plain import plain
from tasks.archive.place import seen_path
from tasks.host import files
from tasks.notices import emitter, events
from tasks.odoo import customers
from tasks.records import records
from tasks.records.proven import Warned
from tasks.run.moments import DAY, Clock, size
from tasks.run.step import log, step

MOST_BYTES = 1 << 16
# What Odoo and its mails empty by themselves, whoever works.
EMPTIED = ("bus_bus", "bus_presence", "ir_logging", "mail_mail", "mail_notification", "queue_job")
# A table of a wizard is emptied by the hour; of a table that is gone since nobody knows.
TABLE = """
SELECT c.relname AS name, EXISTS (
    SELECT FROM public.ir_model m WHERE m.transient AND replace(m.model, '.', '_') = c.relname
) AS passing
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' AND pg_relation_filenode(c.oid)::bigint = $1
"""


@dataclass(frozen=True)
class Change:
    """Rows that were deleted of a table, or a database that became smaller."""

    at: float
    database: str
    file: int = 0
    rows: int = 0
    share: float = 0.0
    was: float = 0.0
    now: float = 0.0
    table: str = ""

    @property
    def key(self) -> str:
        """What it is known by, once it was told."""
        return f"{self.database} {self.file} {self.at:.0f}"

    def sentence(self, clock: Clock) -> str:
        """
        >>> Change(60.0, "shop", 9, 1200, 0.93, table="res_partner").sentence(Clock(dated=True))
        '1200 rows of res_partner in shop were deleted by 1970-01-01 00:01:00 (UTC), on 93% of it'
        >>> Change(60.0, "shop", was=4e9, now=1e9).sentence(Clock(dated=True))
        'shop took 4.0 GB and takes 1.0 GB, seen at 1970-01-01 00:01:00 (UTC)'
        """
        when = clock.at(self.at)
        if self.file:
            return (
                f"{self.rows} rows of {self.table} in {self.database} were deleted by {when}, on "
                f"{self.share:.0%} of it"
            )
        return f"{self.database} took {size(self.was)} and takes {size(self.now)}, seen at {when}"


def read(text: str, what: str) -> list[Change]:
    """Read what the program wrote down.

    >>> [each.file for each in read('[{"kind": "deleted", "database": "a", "file": 9, "rows": 2,'
    ...     ' "share": 0.5, "at": 1.0}, {"kind": "later", "at": 1}]', "it")]
    [9]
    """
    if not text:
        return []
    with answers.understood(what):
        return [each for one in answers.rows(text, what) for each in _read(one)]


def _read(facts: dict[str, Any]) -> Iterator[Change]:
    at, database = float(facts["at"]), plain(str(facts.get("database", "")))
    if facts["kind"] == "deleted":
        rows, share = int(facts["rows"]), float(facts["share"])
        yield Change(at, database, int(facts["file"]), rows, share)
    elif facts["kind"] == "shrank":
        yield Change(at, database, was=float(facts["from"]), now=float(facts["to"]))


def look(instance: OdooInstance) -> list[Change]:
    """Name what was seen within a day, but for what empties itself."""
    shell, path = instance.recovery.host.shell(), seen_path(instance)
    what = f"{path} on {instance.recovery}"
    found = read(files.read(shell, path, at_most=MOST_BYTES), what)
    fresh = [each for each in found if time.time() - each.at < DAY]
    return list(_named(instance, fresh))


def _named(instance: OdooInstance, changes: Sequence[Change]) -> Iterator[Change]:
    """Ask the databases themselves, as Odoo's role, whose table a file is."""
    if not any(each.file for each in changes):
        yield from changes
        return
    known = {each.name: each for each in customers.databases(instance.recovery)}
    for each in changes:
        if not each.file:
            yield each
        elif each.database in known:
            yield from _with_table(known[each.database], each)


def _with_table(database: customers.Database, change: Change) -> Iterator[Change]:
    try:
        rows = database.ask(TABLE, change.file)
    except CommandFailed as error:
        log().warning("%s cannot be asked for the name of a table: %s", database.name, error)
        rows = [{"name": f"file {change.file}", "passing": False}]
    for row in rows:
        if not row["passing"] and row["name"] not in EMPTIED:
            name = plain(str(row["name"]))
            yield Change(
                change.at, change.database, change.file, change.rows, change.share, table=name
            )


def remarks(instance: OdooInstance, clock: Clock) -> list[str]:
    """Say what was seen within a day, for whoever looks."""
    policy = instance.time_machine
    if policy is None or not policy.alarm_rows:
        return []
    return [each.sentence(clock) for each in look(instance)]


@step("tell of mass changes")
def tell(instances: Sequence[OdooInstance]) -> None:
    """Tell of each mass change once; one instance that cannot be asked stops no other."""
    for instance in instances:
        try:
            _tell(instance)
        except (Unreachable, CommandFailed, Refused) as error:
            log().warning("%s", error.message)


def _tell(instance: OdooInstance) -> None:
    found, clock = look(instance), Clock(instance.timezone, dated=True)
    told = records.read(instance.recovery, instance, Warned) or Warned()
    due = [each for each in found if each.key not in told.keys]
    for each in due:
        emitter.emit(instance.name, events.MASS, f"{instance.name}: {each.sentence(clock)}")
    if due:
        keys = tuple(each.key for each in found)
        records.write(instance.recovery, instance, Warned(keys=keys))
