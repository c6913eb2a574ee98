"""Do database and files agree: what the engine said of one database, and what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocks.plain import plain
from tasks.run.moments import span


@dataclass(frozen=True)
class Verdict:
    """One database: its files, those that are missing or wrong, and up to where both agree."""

    database: str
    rows: int
    missing: int
    wrong: int
    agreed_lsn: str
    agreed_age_seconds: float | None
    oldest_pending_seconds: float
    unread: str = ""
    foreign: bool = False
    known_seconds: float | None = None
    elsewhere: int = 0
    storage: str = ""
    damaged: int = 0
    damage: str = ""

    @property
    def whole(self) -> bool:
        bad = self.missing or self.wrong or self.damaged or self.unread
        return not bad and bool(self.agreed_lsn)

    def is_doubtful(self, *, patience_seconds: float, followed: bool) -> bool:
        """Tell whether documents could be without their files after a failover now.

        A database that is `followed` was seen whole within the patience, or something is wrong;
        one that is being served from here has nobody to agree with. One that was just made or
        renamed has the patience from when it was first seen. One of another role's, which ours
        may not read, has its files elsewhere.

        >>> def doubtful(agreed, age, **more):
        ...     seen = Verdict("shop", 7, 0, 0, agreed, age, 0.0, **more)
        ...     return seen.is_doubtful(patience_seconds=600, followed=True)
        >>> doubtful("0/5000", 3.2), doubtful("0/5000", 601.0), doubtful("", None)
        (False, True, True)
        >>> doubtful("", None, known_seconds=12.0), doubtful("", None, known_seconds=601.0)
        (False, True)
        >>> doubtful("", None, unread="no"), doubtful("", None, unread="no", foreign=True)
        (True, False)
        """
        if self.foreign:
            return False
        if self.unread or self.wrong or self.damaged:
            return True
        if self.oldest_pending_seconds > patience_seconds:
            return True
        if not (self.rows and followed):
            return False
        if not self.agreed_lsn:
            return self.known_seconds is None or self.known_seconds > patience_seconds
        return (self.agreed_age_seconds or 0.0) > patience_seconds

    def __str__(self) -> str:
        """
        >>> print(Verdict("shop", 7, 0, 0, "0/5000", 3.2, 0.0))
        shop: 7 files whole up to 0/5000, 3 s ago
        >>> print(Verdict("shop", 7, 2, 1, "", None, 90.0))
        shop: 2 of 7 files missing, 1 wrong, the oldest for 90 s; never seen whole
        >>> print(Verdict("shop", 7, 0, 0, "0/5", 3.2, 0.0, damaged=1, damage="1 spoiled here"))
        shop: 1 of 7 files are damaged: 1 spoiled here; whole up to 0/5, 3 s ago
        >>> print(Verdict("shop", 0, 0, 0, "", None, 0.0, "role odoo may not connect to it"))
        shop: not read (role odoo may not connect to it); never seen whole
        >>> print(Verdict("shop", 7, 0, 0, "", None, 0.0, known_seconds=12.0))
        shop: 7 files, known for 12 s; never seen whole
        """
        since = (
            f"{self.agreed_lsn}, {span(self.agreed_age_seconds or 0)} ago"
            if self.agreed_lsn
            else ""
        )
        if self.whole:
            return f"{self.database}: {self.rows} files whole up to {since}"
        seen = f"whole up to {since}" if since else "never seen whole"
        if self.damaged:
            return (
                f"{self.database}: {self.damaged} of {self.rows} files are damaged: "
                f"{self.damage}; {seen}"
            )
        if self.unread:
            return f"{self.database}: not read ({self.unread}); {seen}"
        if not (self.missing or self.wrong or since):
            known = "" if self.known_seconds is None else f", known for {span(self.known_seconds)}"
            return f"{self.database}: {self.rows} files{known}; {seen}"
        return (
            f"{self.database}: {self.missing} of {self.rows} files missing, {self.wrong} wrong, "
            f"the oldest for {span(self.oldest_pending_seconds)}; {seen}"
        )

    @property
    def remarks(self) -> list[str]:
        """What is not copied, and has to be had in another way.

        >>> Verdict("shop", 7, 0, 0, "", None, 0.0, elsewhere=5000, storage="s3").remarks
        ["shop: 5000 documents are kept in another storage ('s3'), which is not copied"]
        """
        if self.foreign:
            return [f"{self.database}: its files are not followed: {self.unread}"]
        return [not_copied(self.database, self.elsewhere, self.storage)] if self.elsewhere else []


def not_copied(database: str, count: int, storage: str) -> str:
    """Say that documents are kept where Relevo copies nothing."""
    return (
        f"{database}: {count} documents are kept in another storage ({storage!r}), which is not "
        "copied"
    )


def read(facts: Mapping[str, Any]) -> Verdict:
    """Read what the engine said of a database, whose name is a customer's word."""
    # An engine of then says none of these.
    since = ("foreign", "known_seconds", "elsewhere", "storage", "damaged", "damage")
    names = [name for name in Verdict.__dataclass_fields__ if name in facts or name not in since]
    known: dict[str, Any] = {name: facts[name] for name in names}
    for name in ("database", "unread", "storage", "damage"):
        if name in known:
            known[name] = plain(str(known[name]))
    return Verdict(**known)


def sentence(verdicts: Sequence[Verdict]) -> str:
    """Say it of all databases that have files, or may have some.

    >>> sentence([])
    'no database has files'
    """
    said = [str(each) for each in verdicts if (each.rows or each.unread) and not each.foreign]
    return "; ".join(said) or "no database has files"


def remarks(verdicts: Sequence[Verdict]) -> list[str]:
    """Say of all databases what is not copied."""
    return [said for each in verdicts for said in each.remarks]
