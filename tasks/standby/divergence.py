"""What the program divergence found: rows that only a former primary has."""

import json
from dataclasses import dataclass
from itertools import groupby

from blocks.plain import markdown, plain


@dataclass(frozen=True)
class Table:
    """One table of one database, with what was committed after the fork."""

    database: str
    table: str
    model: str
    rows: int
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True)
class Divergence:
    """All of it; rows are there to be read, deletions and former values are only counted."""

    fork: str
    transactions: int
    first: str
    last: str
    tables: tuple[Table, ...]
    reaches_back: bool = True
    unread: tuple[str, ...] = ()

    def __str__(self) -> str:
        """
        >>> str(Divergence("0/3", 2, "a", "b", (Table("c1", "public.x", "x.y", 5, 5, 0, 1),)))
        '5 rows of 1 table in c1, from 2 transactions after the fork; 1 row was deleted'
        >>> str(Divergence("0/3", 0, "", "", ()))
        'nothing was committed after the fork'
        >>> str(Divergence("0/3", 2, "a", "b", ()))
        '2 transactions after the fork changed no table that is known'
        >>> str(Divergence("0/3", 2, "a", "b", (), reaches_back=False)).partition("; ")[2]
        'the WAL there does not reach back to where all of them began: rows may be missing'
        """
        more = "the WAL there does not reach back to where all of them began: rows may be missing"
        lacking = f"; could not be read: {'; '.join(self.unread)}" if self.unread else ""
        return f"{self._found()}{'' if self.reaches_back else f'; {more}'}{lacking}"

    @property
    def is_nothing(self) -> bool:
        """All of it was read, and nothing was committed.

        >>> Divergence("0/3", 0, "", "", ()).is_nothing
        True
        >>> Divergence("0/3", 0, "", "", (), unread=("c1: why",)).is_nothing
        False
        """
        return not (self.tables or self.transactions or self.unread) and self.reaches_back

    def _found(self) -> str:
        if not self.tables and not self.transactions:
            return "nothing was committed after the fork"
        if not self.tables:
            many = _count(self.transactions, "transaction")
            return f"{many} after the fork changed no table that is known"
        rows, deleted = (sum(getattr(t, name) for t in self.tables) for name in ("rows", "deleted"))
        names = ", ".join(sorted({plain(each.database) for each in self.tables}))
        gone = f"; {_count(deleted, 'row')} {'was' if deleted == 1 else 'were'} deleted"
        return (
            f"{_count(rows, 'row')} of {_count(len(self.tables), 'table')} in {names}, from "
            f"{_count(self.transactions, 'transaction')} after the fork{gone if deleted else ''}"
        )

    def markdown(self, title: str, *, where: str) -> str:
        """For the customer, by database and model."""
        found = f"{markdown(str(self))}. The rows are in `{where}`, one CSV a table."
        lines = [f"# {markdown(title)}", "", found, ""]
        if self.first:
            lines += [f"First commit {markdown(self.first)}, last {markdown(self.last)}.", ""]
        for database, tables in groupby(self.tables, lambda each: each.database):
            lines += [
                f"## {markdown(database)}", "",
                "| model or table | rows in the CSV | inserted | updated | deleted |",
                "|---|---|---|---|---|",
            ]  # fmt: skip
            lines += [
                f"| {markdown(each.model or each.table)} | {each.rows} | {each.inserted} "
                f"| {each.updated} | {each.deleted} |"
                for each in tables
            ]
            lines.append("")
        lines.append(
            "The CSV has each updated row as it was last; earlier versions and deleted rows are "
            "only in the data directory that is kept beside it."
        )
        return "\n".join(lines) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def parse(text: str) -> Divergence:
    """Read the summary; raise ValueError for anything that is none."""
    try:
        facts = json.loads(text)
        tables = tuple(Table(**each) for each in facts.pop("tables"))
        return Divergence(**{**facts, "unread": tuple(facts.get("unread", ()))}, tables=tables)
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"not a valid summary: {error}") from error
