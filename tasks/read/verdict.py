"""Do database and files agree: what the engine said of one database, and what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocks.plain import plain


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

    @property
    def whole(self) -> bool:
        return not (self.missing or self.wrong or self.unread) and bool(self.agreed_lsn)

    def is_doubtful(self, *, patience_seconds: float, followed: bool) -> bool:
        """Tell whether documents could be without their files after a failover now.

        A database that is `followed` was seen whole within the patience, or something is wrong;
        one that is being served from here has nobody to agree with.

        >>> fresh = Verdict("shop", 7, 0, 0, "0/5000", 3.2, 0.0)
        >>> fresh.is_doubtful(patience_seconds=600, followed=True)
        False
        >>> never = Verdict("shop", 7, 0, 0, "", None, 0.0)
        >>> never.is_doubtful(patience_seconds=600, followed=True)
        True
        """
        if self.unread or self.wrong or self.oldest_pending_seconds > patience_seconds:
            return True
        if not (self.rows and followed):
            return False
        return not self.agreed_lsn or (self.agreed_age_seconds or 0.0) > patience_seconds

    def __str__(self) -> str:
        """
        >>> print(Verdict("shop", 7, 0, 0, "0/5000", 3.2, 0.0))
        shop: 7 files whole up to 0/5000, 3 s ago
        >>> print(Verdict("shop", 7, 2, 1, "", None, 90.0))
        shop: 2 of 7 files missing, 1 wrong, the oldest for 90 s; never seen whole
        >>> print(Verdict("shop", 0, 0, 0, "", None, 0.0, "role odoo may not connect to it"))
        shop: not read (role odoo may not connect to it); never seen whole
        """
        since = (
            f"{self.agreed_lsn}, {self.agreed_age_seconds or 0:.0f} s ago"
            if self.agreed_lsn
            else ""
        )
        if self.whole:
            return f"{self.database}: {self.rows} files whole up to {since}"
        seen = f"whole up to {since}" if since else "never seen whole"
        if self.unread:
            return f"{self.database}: not read ({self.unread}); {seen}"
        return (
            f"{self.database}: {self.missing} of {self.rows} files missing, {self.wrong} wrong, "
            f"the oldest for {self.oldest_pending_seconds:.0f} s; {seen}"
        )


def read(facts: Mapping[str, Any]) -> Verdict:
    """Read what the engine said of a database, whose name is a customer's word."""
    known = {name: facts[name] for name in Verdict.__dataclass_fields__}
    shown = {name: plain(str(known[name])) for name in ("database", "unread")}
    return Verdict(**{**known, **shown})


def sentence(verdicts: Sequence[Verdict]) -> str:
    """Say it of all databases that have files, or may have some.

    >>> sentence([])
    'no database has files'
    """
    said = [str(each) for each in verdicts if each.rows or each.unread]
    return "; ".join(said) or "no database has files"
