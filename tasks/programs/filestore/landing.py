"""What comes in: written beside, judged, renamed.

Nothing takes its final name before the disk has its content, and that is what the name says: a file
system may keep a name over a power cut and lose what was to be in the file.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from typing import Iterable  # Python 3.8

from ..durable import sync
from .answer import Answer
from .disk import buffer, link, sha1_of, sync_disk, unlink
from .names import Key
from .store import Store

FEW = 8  # files whose syncs, one by one, cost less than that of the whole file system
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

    def settle(self) -> list[Key]:
        """Have the disk take what is here, then name it; say what has its name now."""
        waiting, self.waiting = self.waiting, []
        if self.opened < 0:
            return []
        try:
            if len(waiting) > FEW:
                sync_disk(self.opened)
            else:
                for beside, _ in waiting:
                    sync(beside)
            for beside, key in waiting:
                self.store.place(beside, key)
        finally:
            os.close(self.opened)
            self.opened = -1
            shutil.rmtree(self.folder)
        return [key for _, key in waiting]


def _write(file: int, part: memoryview) -> None:
    while part:
        part = part[os.write(file, part) :]
