"""What comes in: written beside, judged, renamed.

Nothing takes its final name before the disk has its content, and that is what the name says: a file
system may keep a name over a power cut and lose what was to be in the file.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Iterable  # Python 3.8

from ..durable import sync
from .answer import Answer
from .disk import buffer, link, sha1_of, sync_disk, unlink
from .names import Key
from .store import Store

FEW = 8  # files whose syncs, one by one, cost less than that of the whole file system
# Files, and bytes, that the disk takes and that are named at once. Each piece is twice the one
# before: a few files have not to wait for many, and of many files the disk is asked seldom.
FIRST, MOST, MOST_BYTES = 128, 2048, 64 << 20
PIECES = 4  # that the disk may be behind
LANDINGS = itertools.count()


class Landing:
    """Where contents come in, to get their final names together, once the disk has them.

    Of one thread at a time: two writers in one folder are much slower.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = f"{store.work}/stage/{os.getpid()}-{next(LANDINGS)}"
        self.opened = -1
        self.waiting: list[tuple[str, Key]] = []

    def _beside(self) -> str:
        """The next name; its folder is opened before the first file, to hear of failed writes."""
        if self.opened < 0:
            os.mkdir(self.folder)
            self.opened = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"{self.folder}/{len(self.waiting)}"

    def admit(self, key: Key, answer: Answer) -> bool:
        """Write a content that is coming in, and keep it if it is what the name says."""
        beside, digest = self._beside(), hashlib.sha1()  # noqa: S324
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            for part in answer.parts(buffer()):
                digest.update(part)
                _write(file, part)
        finally:
            os.close(file)
        good = digest.hexdigest() == key.digest
        if good:
            self.waiting.append((beside, key))
        return good

    def reuse(self, key: Key, folders: Iterable[str]) -> bool:
        """Take a file from one of these folders, if its content is right."""
        for folder in folders:
            candidate = f"{folder}/{key.name}"
            if os.path.isfile(candidate) and sha1_of(candidate) == key.digest:
                beside = self._beside()
                unlink(beside)
                link(candidate, beside)
                self.waiting.append((beside, key))
                return True
        return False

    def sync(self) -> bool:
        """Have the disk take what is here; tell whether it took all else as well."""
        if many := len(self.waiting) > FEW:
            sync_disk(self.opened)
        else:
            for beside, _ in self.waiting:
                sync(beside)
        return many

    def name(self) -> list[Key]:
        """Give what the disk has its names; say what has its name now."""
        for beside, key in self.waiting:
            self.store.place(beside, key)
        return [key for _, key in self.waiting]

    def close(self) -> None:
        """Remove the folder, and what has no name by now."""
        self.waiting = []
        if self.opened >= 0:
            os.close(self.opened)
            self.opened = -1
            shutil.rmtree(self.folder)

    def settle(self) -> list[Key]:
        """Have the disk take what is here, then name it; say what has its name now."""
        try:
            self.sync()
            return self.name()
        finally:
            self.close()


class Arrivals:
    """What comes in, in pieces: the disk takes one while the next comes.

    A thread of its own waits for the disk; names are given by the one that receives. Two threads
    at many short system calls would take the interpreter from each other at each. The disk takes
    the names of one piece with the contents of the next.
    """

    def __init__(self, store: Store, disk: ThreadPoolExecutor) -> None:
        self.store, self.disk = store, disk
        self.landing = Landing(store)
        self.piece, self.size = FIRST, 0  # how many files there may be, how many bytes there are
        self.syncing: deque[tuple[Landing, Future[bool], list[Key]]] = deque()
        self.named: list[Key] = []
        self.lasting: list[Key] = []
        self.count = 0

    def admit(self, key: Key, answer: Answer) -> bool:
        """Take a content as `Landing.admit` does, and let the disk take a piece that is full."""
        good = self.landing.admit(key, answer)
        self.size += answer.size
        if len(self.landing.waiting) >= self.piece or self.size >= MOST_BYTES:
            full, self.landing = self.landing, Landing(self.store)
            self.piece, self.size = min(2 * self.piece, MOST), 0
            named, self.named = self.named, []
            self.syncing.append((full, self.disk.submit(full.sync), named))
            while self.syncing and (len(self.syncing) > PIECES or self.syncing[0][1].done()):
                self._name()
        return good

    def _name(self) -> None:
        landing, synced, named = self.syncing.popleft()
        try:
            (self.lasting if synced.result() else self.named).extend(named)
            self._settle(landing.name())
        finally:
            landing.close()

    def _settle(self, named: list[Key]) -> None:
        self.named += named
        self.count += len(named)

    def have(self, keys: Iterable[Key]) -> None:
        """Take for named what was found in its place: its name may not be on the disk yet."""
        self.named += keys

    def take(self) -> list[Key]:
        """Say what the disk has, with its name, since this was asked last."""
        lasting, self.lasting = self.lasting, []
        return lasting

    def settle(self) -> None:
        """Name all that has come, once the disk has it; leave nothing of it where it has not."""
        try:
            while self.syncing:
                self._name()
            self._settle(self.landing.settle())
        finally:
            for landing, synced, _ in self.syncing:
                synced.exception()  # nothing is taken away from who works on it
                landing.close()
            self.syncing.clear()
            self.landing.close()

    def last(self) -> list[Key]:
        """Have the disk take all names, and say what it had not taken."""
        self.settle()
        left, self.named = [*self.take(), *self.named], []
        if left:
            self.store.sync(always=True)
        return left


def _write(file: int, part: memoryview) -> None:
    while part:
        part = part[os.write(file, part) :]
