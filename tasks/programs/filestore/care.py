"""What is done to the files that are here: the trash, the scrub, and the origin's own copy.

Nothing is deleted because the origin has not got it. A file goes to the trash when no row of any
database has named it for the grace time; the runner deletes it for good after the retention.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Iterator

from . import decide, questions
from .comparison import Found, digests
from .disk import sha1_of
from .engine import Engine
from .landing import Landing
from .names import FOLDER, Key, is_database
from .trouble import Refusal

SPOILED = "spoiled here too"


@dataclass
class Cared:
    """What a reconcile did."""

    rows: int = 0
    files: int = 0
    fetched: int = 0
    trashed: int = 0
    scrubbed: int = 0
    spoiled: int = 0
    repaired: int = 0
    unread: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    origin_lacks: list[str] = field(default_factory=list)
    origin_wrong: list[str] = field(default_factory=list)
    unrepaired: dict[str, str] = field(default_factory=dict)


@dataclass
class Moved:
    """How many files a push gave to the origin, and how many only that had."""

    given: int = 0
    kept_aside: int = 0


class Care:
    """The slow work on one instance."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.settings = engine, engine.settings
        self.state, self.store, self.origin = engine.state, engine.store, engine.origin

    def reconcile(self, *, repair: bool, accept_deletions: bool) -> Cared:
        """Compare all, fetch, scrub, look at the origin's copy, and tidy up."""
        spoiled = self.engine.mend()
        found = self.engine.reconcile()
        cared = Cared(
            spoiled=spoiled,
            rows=sum(each.rows for each in found.values()),
            files=sum(each.here for each in found.values()),
            fetched=self.engine.fetcher.fetched,
            unread=self.engine.databases.never_read(),
            foreign=self.engine.databases.foreign(),
        )
        self.scrub(cared)
        self.judge_origin(found, cared, repair=repair)
        if not self.engine.serving:
            cared.trashed = self.discard(found, accept=accept_deletions)
        return cared

    # ---------------------------------------------------------------------------------- trash

    def discard(self, found: dict[str, Found], *, accept: bool) -> int:
        """Move what nobody has named for the grace time to the trash; refuse a suspicious lot."""
        orphans = set().union(*(each.orphans for each in found.values()))
        total = sum(each.here for each in found.values())
        exist = {row[0] for row in self.engine.cluster.ask("postgres", questions.ALL_DATABASES)}
        dropped = [name for name in self.store.databases() if name not in exist]
        for database in dropped:
            left = set(self.store.names(database))
            orphans |= left
            total += len(left)
        now = time.time()
        since = self.state.orphans(orphans, now)
        due = [key for key, at in since if at <= now - self.settings.grace_seconds]
        if decide.too_many(len(due), total, self.settings.max_deleted_share) and not accept:
            names = ", ".join(key.path for key in due[:3])
            raise Refusal(
                f"{len(due)} of {total} files of {self.settings.instance} are named by no row any "
                f"more, over the share of {self.settings.max_deleted_share:.0%} that may go to the "
                f"trash at once; nothing was moved ({names}, ...)",
                "check that the databases are complete; if the deletion is right, run "
                "reconcile-filestore with accept_deletions",
            )
        moved = self.store.discard(due)
        self.store.sync()
        self.state.orphans({key for key, _ in since} - set(due), now)
        for database in dropped:
            self.store.remove_empty(database)
        return moved

    def restore(self, day: str, database: str) -> int:
        """Take files out of a day's trash, where none is in their place."""
        top = os.path.join(self.settings.trash, day, "filestore")
        if not os.path.isdir(top):
            raise Refusal(
                f"the trash of {self.settings.instance} has no files of {day}",
                f"choose one of: {', '.join(self.store.days()) or 'nothing'}",
            )
        landing = Landing(self.store)
        try:
            for name in sorted(os.listdir(top)):
                if is_database(name) and database in {"", name}:
                    for key in _files(top, name):
                        if not self.store.has(key, None):
                            landing.reuse(key, [os.path.join(top, name)])
        finally:
            restored = len(landing.settle())
            self.store.sync(always=True)
        return restored

    # ---------------------------------------------------------------------------------- scrub

    def scrub(self, cared: Cared) -> None:
        """Read a share of the files again, so that all are read within the scrub time.

        A spoiled one goes to the trash and is fetched anew.
        """
        begun, known = time.time(), json.loads(self.state.fact("scrub") or "[0, 0]")
        first, last = int(known[0]), float(known[1]) or begun - 86400 / 4
        due = decide.prefixes_to_scrub((begun - last) / 86400, self.settings.scrub_days)
        for at in range(first, first + due):
            self._scrub_prefix(f"{at % 256:02x}", cared)
        self.state.note("scrub", json.dumps([(first + due) % 256, begun]))
        if cared.spoiled:
            self.engine.fetcher.pending()

    def _scrub_prefix(self, prefix: str, cared: Cared) -> None:
        for database in self.engine.databases.known:
            begun, read = time.monotonic(), 0
            for key, found in self.store.sums(self._of_prefix(database, prefix)):
                size = _size(self.store.path(key))
                if found != key.digest and size >= 0:
                    self.store.discard([key], kind="spoiled")
                    self.state.want([key])
                    cared.spoiled += 1
                cared.scrubbed += 1
                read += max(size, 0)
            ahead = read / self.settings.scrub_bytes_per_second - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)

    def _of_prefix(self, database: str, prefix: str) -> list[Key]:
        folders = [f for f in self.store.folders(database) if f.startswith(prefix)]
        return [
            Key(database, f"{folder}/{name}")
            for folder in folders
            for name in sorted(self.store.listed(database, folder))
            if len(name) == 40  # noqa: PLR2004
        ]

    # --------------------------------------------------------------------- the origin's own copy

    def judge_origin(self, found: dict[str, Found], cared: Cared, *, repair: bool) -> None:
        """See what the origin lacks or has spoiled; give it the good copy, if that is allowed."""
        for database in found:
            theirs = self.origin.list(database) or {}
            lacks, wrong = self.differences(database, theirs)
            cared.origin_lacks += [key.path for key in lacks]
            cared.origin_wrong += [key.path for key in wrong]
        bad = len(cared.origin_lacks) + len(cared.origin_wrong)
        if decide.too_many(bad, cared.rows, self.settings.max_deleted_share):
            raise Refusal(
                f"{bad} of {cared.rows} files of {self.settings.instance} are gone or spoiled at "
                f"{self.settings.origin}; they are whole here, and nothing was changed",
                "check that the folder of the filestore is mounted and complete at "
                f"{self.settings.origin}; then run reconcile-filestore again",
            )
        sums = self.origin.sums([*cared.origin_lacks, *cared.origin_wrong])
        # A file that came to be between the list and the question is right by now.
        cared.origin_lacks = [path for path in cared.origin_lacks if not sums[path]]
        cared.origin_wrong = [p for p in cared.origin_wrong if sums[p] != p[-40:]]
        paths = sorted({*cared.origin_lacks, *cared.origin_wrong})
        if repair and paths:
            cared.unrepaired = self.give(paths)
            cared.repaired = len(paths) - len(cared.unrepaired)

    def differences(self, database: str, theirs: dict[str, int]) -> tuple[list[Key], list[Key]]:
        """Name the files of ours that the origin lacks, and those that it has cut short."""
        lacks, wrong = [], []
        for key in self.named(database):
            size = theirs.get(key.name)
            ours = _size(self.store.path(key))
            if ours >= 0 and size is None:
                lacks.append(key)
            elif ours >= 0 and size != ours:
                wrong.append(key)
        return lacks, wrong

    def named(self, database: str) -> Iterator[Key]:
        """Every file that a row of a database names."""
        for row in self.engine.cluster.session(database).stream(questions.EVERYTHING):
            folder, joined = str(row[0]), str(row[1])
            for name in digests(folder, joined):
                yield Key(database, f"{folder}{name}")

    def give(self, paths: list[str]) -> dict[str, str]:
        """Give the origin our copies, those that are good; say which it did not take, and why."""
        here = {path: f"{self.settings.filestore}/{path}" for path in paths}
        good = [path for path in paths if sha1_of(here[path]) == path[-40:]]
        refused = self.origin.put((path, here[path]) for path in good)
        return {**dict.fromkeys({*paths} - {*good}, SPOILED), **refused}

    def fetch_again(self, paths: list[str]) -> None:
        """Fetch what is spoiled here from the origin, which may have it whole."""
        keys = [Key(*path.split("/", 1)) for path in paths]
        self.state.want(keys)
        self.store.discard(keys, kind="spoiled")
        if keys:
            self.engine.fetcher.pending()

    def push(self) -> dict[str, object]:
        """Make the origin's filestore what the serving database here names.

        What only the origin has moves to its quarantine, and nothing is deleted.
        """
        refused: dict[str, str] = {}
        moved = Moved()
        ours = self.engine.databases
        for database in ours.read(self.engine.cluster):
            ours.twice(database, partial(self._push, database, refused, moved))
        return {
            "given": moved.given - len(refused),
            "kept_aside": moved.kept_aside,
            "refused": refused,
            "unread": self.engine.databases.never_read(),
        }

    def _push(self, database: str, refused: dict[str, str], moved: Moved) -> None:
        """Give and set aside in one database; count how many of each."""
        head = self.engine.head(self.engine.cluster, database)
        if head.guard.table_oid == "0":
            return
        theirs = self.origin.list(database) or {}
        lacks, wrong = self.differences(database, theirs)
        left = self.give(sorted(key.path for key in (*lacks, *wrong)))
        spoiled = [path for path, why in left.items() if why == SPOILED]
        self.fetch_again(spoiled)
        refused.update({path: why for path, why in left.items() if path not in spoiled})
        strangers = {*theirs} - {key.name for key in self.named(database)}
        refused.update(self.origin.aside(f"{database}/{name}" for name in sorted(strangers)))
        moved.given += len(lacks) + len(wrong) - len(spoiled)
        moved.kept_aside += len(strangers)


def _files(top: str, database: str) -> Iterator[Key]:
    for folder in sorted(os.listdir(os.path.join(top, database))):
        if FOLDER.match(folder):
            for name in sorted(os.listdir(os.path.join(top, database, folder))):
                yield Key(database, f"{folder}/{name}")


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1
