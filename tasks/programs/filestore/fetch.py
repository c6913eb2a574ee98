"""Get the files that are wanted: from here if another database or the trash has them, else from
the origin.

While the disk takes what has come, more is under way; a file stops to be pending when it is on the
disk. The newest files have a connection of their own, so that they need
not wait behind many others.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable, Sequence  # Python 3.8

from .answer import ABSENT as NOT_THERE
from .answer import FILE_BYTES, OK, Answer, Oversize
from .decide import ABSENT, BAD
from .landing import Arrivals
from .names import Key
from .origin import Origin
from .state import State
from .store import Store

SAY = 512  # files between two words about the progress
WHY = 300  # characters of what the origin complains of
TRIES = 3  # connections for one part, where an answer is too long to be listened to


@dataclass
class Progress:
    """What a long work has done so far."""

    files: int = 0
    size: int = 0
    total: int = 0
    begun: float = field(default_factory=time.monotonic)

    def facts(self) -> dict[str, float]:
        took = max(time.monotonic() - self.begun, 1e-6)
        left = max(self.total - self.files, 0) / (self.files / took) if self.files else 0.0
        return {
            "files": self.files,
            "bytes": self.size,
            "of": self.total,
            "seconds": round(took, 3),
            "seconds_left": round(left, 1),
        }


class Batch:
    """What became of files that were asked for together."""

    def __init__(
        self, arrivals: Arrivals, state: State, keys: Sequence[Key], progress: Callable[[int], None]
    ) -> None:
        self.arrivals, self.state, self.progress = arrivals, state, progress
        self.store = arrivals.store
        self.here: list[Key] = []
        self.left = {key.path: key for key in keys}

    def look_here(self) -> None:
        """Take what is here already: in its place, in another database's folder, in the trash."""
        databases = {key.database for key in self.left.values()}
        folders = {database: self.store.elsewhere(database) for database in databases}
        for path, key in list(self.left.items()):
            if self.store.has(key, None):
                self.here.append(key)
            elif not self.arrivals.landing.reuse(key, folders[key.database]):
                continue
            del self.left[path]
            self.progress(0)

    def receive(self, path: str, answer: Answer) -> None:
        """Take one answer of the origin's."""
        key, size = self.left[path], answer.size
        self.progress(size)
        del self.left[path]
        if answer.kind == OK:
            self._admit(key, answer)
        elif answer.kind == NOT_THERE:
            self._fail(key, ABSENT, "not there at the origin", since=answer.moment())
        else:
            self._fail(key, BAD, answer.sentence()[:WHY])

    def _admit(self, key: Key, answer: Answer) -> None:
        """Take a content, if it may be a document's, and the disk has room for it."""
        try:
            answer.require_size(FILE_BYTES, key.path)
        except Oversize as error:
            self._fail(key, BAD, error.message)
            raise
        self.store.require_room(answer.size)
        if not self.arrivals.admit(key, answer):
            self._fail(key, BAD, f"{answer.size} bytes at the origin have another checksum")

    def _fail(self, key: Key, state: str, why: str, since: float = 0.0) -> None:
        self.state.failed(key, state, why=why, since=since)


class Fetcher:
    """Fetches for one instance; several threads may use it."""

    def __init__(
        self, store: Store, state: State, origin: Origin, report: Callable[[Progress], None]
    ) -> None:
        self.store, self.state, self.origin, self.report = store, state, origin, report
        self.newest = origin.twin()
        self.progress = Progress()
        self.fetched = 0

    def pending(self, *, at: float | None = None) -> None:
        """Fetch what is pending: what is due at a time, or all."""
        self.progress = Progress(total=self.state.count())
        with ThreadPoolExecutor(1) as disk:
            arrivals = Arrivals(self.store, disk)
            try:
                self._parts(arrivals, at)
            finally:
                self.state.done(arrivals.last())  # what has come need not come again
                self.fetched += arrivals.count

    def _parts(self, arrivals: Arrivals, at: float | None) -> None:
        forgotten: Future[None] | None = None
        last: Key | None = None
        while part := self.state.due(at=at, after=last):
            batch = Batch(arrivals, self.state, part, self._progressed)
            self._get(self.origin, batch)
            self.report(self.progress)
            arrivals.have(batch.here)
            if forgotten:
                forgotten.result()
            forgotten = arrivals.disk.submit(self.state.done, arrivals.take())
            last = part[-1]
        if forgotten:
            forgotten.result()

    def _progressed(self, size: int) -> None:
        self.progress.files += 1
        self.progress.size += size
        if self.progress.files % SAY == 0:
            self.report(self.progress)

    def now(self, keys: Sequence[Key]) -> None:
        """Fetch some files that are not noted as pending."""
        with ThreadPoolExecutor(1) as disk:
            arrivals = Arrivals(self.store, disk)
            try:
                self._get(self.newest, Batch(arrivals, self.state, keys, lambda _: None))
            finally:
                arrivals.settle()

    @staticmethod
    def _get(origin: Origin, batch: Batch, tries: int = TRIES) -> None:
        """Ask for the files of a batch; one that is too long keeps the others from nothing."""
        batch.look_here()
        try:
            origin.get(list(batch.left), batch.receive)
        except Oversize:
            if tries == 1:
                raise
            Fetcher._get(origin, batch, tries - 1)

    def close(self) -> None:
        self.origin.close()
        self.newest.close()
