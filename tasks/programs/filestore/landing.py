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
TOGETHER = 256  # files that the disk takes and that are named at once
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

    def sync(self) -> None:
        """Have the disk take what is here."""
        if len(self.waiting) > FEW:
            sync_disk(self.opened)
        else:
            for beside, _ in self.waiting:
                sync(beside)

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
    at many short system calls would take the interpreter from each other at each.
    """

    def __init__(self, store: Store, disk: ThreadPoolExecutor) -> None:
        self.store, self.disk = store, disk
        self.landing = Landing(store)
        self.syncing: deque[tuple[Landing, Future[None]]] = deque()
        self.named: list[Key] = []

    def admit(self, key: Key, answer: Answer) -> bool:
        """Take a content as `Landing.admit` does, and let the disk take a piece that is full."""
        good = self.landing.admit(key, answer)
        if len(self.landing.waiting) >= TOGETHER:
            full, self.landing = self.landing, Landing(self.store)
            self.syncing.append((full, self.disk.submit(full.sync)))
            while self.syncing and (len(self.syncing) > PIECES or self.syncing[0][1].done()):
                self._name()
        return good

    def _name(self) -> None:
        landing, synced = self.syncing.popleft()
        try:
            synced.result()
            self.named += landing.name()
        finally:
            landing.close()

    def take(self) -> list[Key]:
        """Say what was named since this was asked last."""
        named, self.named = self.named, []
        return named

    def settle(self) -> None:
        """Name all that has come, once the disk has it."""
        while self.syncing:
            self._name()
        self.named += self.landing.settle()


def _write(file: int, part: memoryview) -> None:
    while part:
        part = part[os.write(file, part) :]
