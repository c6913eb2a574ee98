"""One instance: what its standby knows, what is here, and what is fetched.

    scan       rows that are new since the watermark -> pending -> fetched   (sound)
    tail       the newest rows -> fetched                                    (fast, no proof)
    reconcile  all rows and all files are compared                           (the base of it all)

Order within a scan: pending and watermark in one transaction, then stage, sha1, sync, rename, sync,
and only then is a file pending no more. Of what is fetched by `tail` the disk has the content
before the name, and both before a watermark moves past its row: a scan syncs before it notes
anything. Files are looked at again after a boot (`doubt`).
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import Callable, Iterable, Iterator  # Python 3.8

from . import decide, doubt, questions
from .comparison import Found, differences
from .databases import Databases
from .decide import ABSENT, BAD, LOST, Head
from .fetch import Fetcher, Progress
from .line import Line
from .names import Key, is_file
from .origin import Origin
from .settings import Settings
from .state import State
from .store import Store
from .trouble import Promoted
from .wire import Cluster, Connection, Row

SOME = 512
DAY = 86400.0
GRAIN_SECONDS = 1.0  # a file system's times lag behind the clock


class Engine:
    """The work on one instance; two threads may share it."""

    def __init__(
        self,
        settings: Settings,
        *,
        serving: bool = False,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self.settings, self.serving = settings, serving
        self.cluster = Cluster(settings.socket, settings.port, settings.role)
        self.state = State(f"{settings.work}/state.sqlite")
        self.store = Store(settings.filestore, settings.work, settings.trash)
        line = Line(self.state.fact("line"), partial(self.state.note, "line"))
        self.origin = Origin(settings.channel, settings.origin, line)
        self.fetcher = Fetcher(self.store, self.state, self.origin, report)
        self.databases = Databases(settings.role)
        self.seen: dict[str, set[str]] = {}
        self.tops: dict[str, int] = {}

    def close(self) -> None:
        self.cluster.close()
        self.fetcher.close()
        self.state.close()

    def twin(self) -> Cluster:
        """Sessions for another thread."""
        return Cluster(self.settings.socket, self.settings.port, self.settings.role)

    def sweep(self, cluster: Cluster | None = None) -> list[str]:
        """Scan every database; one that is being dropped or cancels us is for the next time.

        Give those that could not be read, each with the reason.
        """
        ours = self.databases
        known = ours.read(cluster or self.cluster)
        self.state.seen({name: ours.oids[name] for name in (*known, *ours.barred)})
        unread = ours.never_read()
        for database in known:
            unread.append(ours.alone(database, partial(self._read, database, cluster)))
        self.state.forget_databases({*known, *ours.barred})
        return [said for said in unread if said]

    def _read(self, database: str, cluster: Cluster | None) -> None:
        self.look_again(database, cluster)
        self.scan(database, cluster)

    def look_again(
        self, database: str, cluster: Cluster | None = None, *, always: bool = False
    ) -> int:
        """Once after each boot, see whether what is here survived it; say how many files did not.

        What is spoiled goes to the trash and is wanted anew; what somebody has only shut is opened.
        """
        fact, boot, cluster = f"looked/{database}", doubt.boot(), cluster or self.cluster
        known = self.state.fact(fact) == boot
        if known and not always:
            return 0
        nothing_here = not self.store.folders(database)
        if nothing_here or self.head(cluster, database).guard.table_oid == "0":
            self.state.note(fact, boot)
            return 0
        mark, begun = self.state.watermark(database), time.time()
        synced = mark.at if mark else time.time() - DAY
        since = self.trusted(database)
        since = since if known else min(since, synced - doubt.SLACK_SECONDS)
        rows = cluster.session(database).stream(questions.SIZES)
        found = [
            key
            for key in doubt.wrong(self.store, database, rows, since)
            if not self.store.reopened(key)
        ]
        self.state.want(found)
        self.store.discard(found, kind="spoiled")
        self.state.note(fact, boot)
        self.trust(database, begun)
        return len(found)

    def trusted(self, database: str) -> float:
        """Since when a file that was changed has to be read; never, where nobody has noted it."""
        return float(self.state.fact(f"trusted/{database}") or "inf")

    def trust(self, database: str, at: float, *, first: bool = False) -> None:
        """Note that what was here at a time is right."""
        if not (first and self.state.fact(f"trusted/{database}")):
            self.state.note(f"trusted/{database}", str(at - GRAIN_SECONDS))

    def mend(self) -> int:
        """Find what is spoiled here in any database, and fetch it; say how many files."""
        spoiled: list[int] = []

        def look(database: str) -> None:
            spoiled.append(self.look_again(database, always=True))

        for database in self.databases.read(self.cluster):
            self.databases.alone(database, partial(look, database))
        if sum(spoiled):
            self.fetcher.pending()
        return sum(spoiled)

    def head(self, cluster: Cluster, database: str) -> Head:
        """Read what this snapshot is; refuse when it is not a standby's."""
        head = decide.head(database, cluster.ask(database, questions.HEAD)[0])
        if not head.in_recovery and not self.serving:
            raise Promoted(
                f"the cluster of {self.settings.instance} accepts writes: it is no longer a "
                "standby, and its files are no copy",
                "run failback, which makes it a standby again; after a failover this is normal",
            )
        return head

    @contextlib.contextmanager
    def _moment(self, cluster: Cluster, database: str) -> Iterator[Connection]:
        """See a database as it is at one moment.

        The table is locked before the snapshot is taken: one that ALTER TABLE rewrites between
        the two is empty to that snapshot (PostgreSQL's manual, "Caveats" of MVCC).
        """
        session = cluster.session(database)
        there = session.ask(questions.TABLE)[0][0] == "t"
        with session.snapshot(questions.SNAPSHOT):
            if there:
                session.ask(questions.HOLD)
            yield session

    def scan(self, database: str, cluster: Cluster | None = None) -> int:
        """Fetch what is new since the watermark; say how many rows had to be looked at."""
        cluster = cluster or self.cluster
        with self._moment(cluster, database) as session:
            head = self.head(cluster, database)
            if head.guard.table_oid == "0":
                self.state.advance(head.guard, head.xmin, head.lsn, [], rows=lambda: 0)
                return 0
            mark = self.state.watermark(database)
            if mark is None or not decide.may_continue(mark.guard, mark.xmin, head):
                found = self._compare(cluster, database, head)
                rows = found.rows
            else:
                candidates = _keys(
                    database, session.ask(questions.CHANGED, questions.watermark(mark.xmin))
                )
                wanted = [each for each in candidates if not self.store.has(*each)]
                self.store.sync(always=bool(candidates))
                self.state.advance(head.guard, head.xmin, head.lsn, wanted)
                rows = len(candidates)
            self._recheck(cluster, database, head)
        self.fetcher.pending(at=None if self.serving else time.time())
        if self.state.agree(database, head.lsn, head.now):
            self.trust(database, time.time(), first=True)
        return rows

    def _recheck(self, cluster: Cluster, database: str, head: Head) -> None:
        """Give up what no row names any more; call lost what a row names and the origin has not."""
        doubtful = [p for p in self.state.pending(database) if p.state in {ABSENT, BAD, LOST}]
        for start in range(0, len(doubtful), SOME):
            part = doubtful[start : start + SOME]
            names = [each.key.name for each in part]
            named = {row[0] for row in cluster.ask(database, questions.STILL_KNOWN, names)}
            self.state.done(each.key for each in part if each.key.name not in named)
            for each in part:
                absent = each.state == ABSENT and each.key.name in named
                if absent and decide.is_lost(each.since, head.last_commit):
                    self.state.failed(each.key, LOST, why=each.why, since=each.since)

    def tail(self, database: str) -> int:
        """Fetch the files of the newest rows at once: fast, and no proof that none is missing."""
        newest = int(self.cluster.ask(database, questions.NEWEST)[0][0] or 0)
        top = min(newest, self.tops.get(database, newest))
        rows = self.cluster.ask(database, questions.TAIL, questions.top(top))
        keys = _keys(database, rows)
        seen = self.seen.setdefault(database, set())
        fresh = [each for each in keys if each[0].name not in seen]
        if len(seen) > 20 * questions.TAIL_ROWS:
            seen.clear()
        seen.update(key.name for key, _ in keys)
        wanted = [key for key, size in fresh if not self.store.has(key, size)]
        self.fetcher.now(wanted)
        self.tops[database] = newest
        return len(wanted)

    def _compare(self, cluster: Cluster, database: str, head: Head) -> Found:
        """Compare all rows with all files, names only; note what is wanted and move the mark."""
        found = Found()
        wanted = differences(self.store, cluster, database, found)
        self.state.advance(head.guard, head.xmin, head.lsn, wanted, rows=lambda: found.rows)
        return found

    def reconcile(self) -> dict[str, Found]:
        """Compare every database as a whole, fetch what is missing, and find what nobody names.

        One that may not be read is barred: named, and in nobody's way.
        """
        result: dict[str, Found] = {}
        for database in self.databases.read(self.cluster):
            self.databases.twice(database, partial(self._reconcile, database, result))
        self.databases.drop_barred()
        return result

    def _reconcile(self, database: str, result: dict[str, Found]) -> None:
        with self._moment(self.cluster, database):
            head = self.head(self.cluster, database)
            if head.guard.table_oid == "0":
                return
            found = self._compare(self.cluster, database, head)
            self._recheck(self.cluster, database, head)
        self.fetcher.pending()
        self.state.agree(database, head.lsn, head.now)
        result[database] = found


def _keys(database: str, rows: Iterable[Row]) -> list[tuple[Key, int | None]]:
    """Read rows of names and sizes; a name that is no file of the filestore is none of ours."""
    return [
        (Key(database, str(name)), int(size) if size else None)
        for name, size in rows
        if is_file(str(name))
    ]
