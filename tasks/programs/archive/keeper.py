"""Keep: copy each segment that the cluster finishes, take base backups, and let the oldest go.

The cluster is asked where it stands, and its files are read; it waits for nothing of this, keeps
nothing for it, and has no setting, slot or sender that knows of it. So what is not copied in time
is a gap, which is named, and after which a base backup begins anew.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from subprocess import DEVNULL
from typing import Callable  # Python 3.8

from .. import durable
from ..bounded import read_text
from . import cluster, names, window
from .cluster import Away, Where
from .judge import PARTS, Judge, Seen, verifying
from .ledger import SPOILED, Ledger
from .settings import DAY, Settings
from .store import Full, Gone, Store, signature
from .watch import Watch
from .window import Base

BEAT_SECONDS, LOOK_SECONDS, SAID_SECONDS = 2.0, 30.0, 20.0
AGAIN_SECONDS = 300.0  # after a base backup that failed
GENTLY = ("nice", "-n", "19", "ionice", "-c", "3")
TAKING = ".taking"


class Keeper:
    """The one process that writes in the folder of an instance's past."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store, self.ledger = Store(settings), Ledger(settings.folder)
        self.judge = Judge(settings, self.ledger, self.store)
        self.known, self.watch = set(self.ledger.segments()), Watch(settings)
        self.taking: subprocess.Popen[bytes] | None = None
        self.label, self.failed, self.why = "", 0.0, ""
        self.reading: subprocess.Popen[bytes] | None = None
        self.read_label = ""
        self.read: dict[str, float] = {}
        self.looked = self.told = 0.0
        self.said: dict[str, object] = {}

    def run(self, ended: threading.Event) -> None:
        """Go on until told to end."""
        self.sweep()
        while not ended.is_set():
            self.tell(self.beat())
            ended.wait(BEAT_SECONDS)
        if self.taking:
            self.taking.terminate()
            self.taking.wait()

    def sweep(self) -> None:
        """Take away what a process before this one has not finished."""
        proven = {base.label for base, _ in self.ledger.bases()}
        for top in (self.settings.bases, self.settings.wal):
            for name in os.listdir(top):
                path = os.path.join(top, name)
                if name.endswith(".part"):
                    os.unlink(path)
                elif top == self.settings.bases and name not in proven:
                    shutil.rmtree(path)

    def beat(self) -> dict[str, object]:
        """Do what is to be done now; say what keeps it from being done.

        Where there is no room for WAL a base backup may still be finished, after which the oldest
        goes.
        """
        try:
            where = cluster.locate(self.settings)
        except (Away, OSError) as error:
            return {"kind": "away", "said": str(error)}
        acts = (self.copy, self.care_now_and_then, self.watch.look_now_and_then)
        tried = [_tried(act, where) for act in acts]
        failed = [each for each in tried if each["kind"]]
        return failed[0] if failed else {"kind": "base" if self.why else "", "said": self.why}

    def tell(self, said: dict[str, object]) -> None:
        """Write down how it goes, when that has changed or was said long ago."""
        said = {**said, "taking": self.label if self.taking else ""}
        now = time.monotonic()
        if said == self.said and now - self.told < SAID_SECONDS:
            return
        self.said, self.told = said, now
        text = json.dumps({**said, "at": time.time()}) + "\n"
        try:
            durable.install(Path(self.settings.folder, "state.json"), text, 0o600)
        except OSError as error:
            print(f"how it goes cannot be written down: {error}", file=sys.stderr, flush=True)

    # -------------------------------------------------------------------------------------- WAL

    def copy(self, where: Where) -> None:
        """Copy what the cluster has finished, on the timeline that it is on."""
        self.store.bring_histories(where)
        line = self.store.line(where)
        floor = min((base.start for base, _ in self.ledger.bases()), default=0)
        there = sorted(filter(names.SEGMENT.match, os.listdir(where.wal)))
        for name in there:
            number = names.number(name, where.segment)
            timeline = names.timeline(number, where.segment, line, where.timeline)
            mine = int(name[:8], 16) == timeline and floor <= number < where.live
            if mine and name not in self.known:
                self.bring(where, name, number)

    def bring(self, where: Where, name: str, number: int) -> None:
        self.store.require_room(where.segment)
        if self.taken() + where.segment > self.settings.limit_bytes:
            self.prune(where)
            if self.taken() + where.segment > self.settings.limit_bytes:
                raise Full("limit")
        try:
            sha256, mark = self.store.bring(where, name)
        except (Gone, FileNotFoundError):
            return  # what lacks is seen by whoever looks for it
        self.ledger.add_segment(name, number, sha256, mark)
        self.known.add(name)

    def forget(self, name: str) -> None:
        self.ledger.forget_segment(name)
        self.known.discard(name)

    def taken(self) -> int:
        """How many bytes the past takes."""
        wal = sum(self.store.size_of_wal().values())
        return wal + sum(base.size for base, _ in self.ledger.bases())

    # ------------------------------------------------------------------------------------- bases

    def care_now_and_then(self, where: Where) -> None:
        if self.is_taken or time.monotonic() - self.looked > LOOK_SECONDS:
            self.looked = time.monotonic()
            self.care(where)

    def care(self, where: Where) -> None:
        """See whether all is whole, let the oldest go, and take a base backup when one is due."""
        seen = self.judge.look(where, again=int(where.now / LOOK_SECONDS) % PARTS)
        for name in filter(names.SEGMENT.match, seen.spoiled):
            self.store.put_aside(name)
            self.forget(name)  # it is brought once more, if the cluster has it still
        self.prune(where)
        self.read_again(where.now)
        if self.taking:
            if self.is_taken:
                self.finish(where)
        elif self.may_try and self.is_due(where, seen):
            self.begin(where)

    @property
    def may_try(self) -> bool:
        return not self.failed or time.monotonic() - self.failed > AGAIN_SECONDS

    def read_again(self, now: float) -> None:
        """Read each base backup once a day, one at a time: a disk may spoil what nobody touches."""
        bases = {base.label: base for base, _ in self.ledger.bases()}
        if self.reading is None:
            due = [b for b in bases.values() if now - self.read.get(b.label, b.taken) > DAY]
            argv = verifying(self.settings, self.store.base(due[0].label)) if due else ()
            if argv:
                self.read_label = due[0].label
                self.reading = subprocess.Popen((*GENTLY, *argv), stdout=DEVNULL, stderr=DEVNULL)
        elif self.reading.poll() is not None:
            if self.reading.returncode == 1 and self.read_label in bases:
                self.ledger.add_base(bases[self.read_label], SPOILED)
            self.read[self.read_label], self.reading = now, None

    def is_due(self, where: Where, seen: Seen) -> bool:
        going = [span.base.start for span in seen.spans if span.until is None]
        wal = (where.live - max(going)) * where.segment if going else 0
        return window.is_due(
            seen.spans, wal=wal, now=where.now, base_days=self.settings.base_days,
            limit=self.settings.limit_bytes,
        )  # fmt: skip

    def begin(self, where: Where) -> None:
        """Begin to take a base backup, if there is room for one."""
        size = _size(where.directory)
        if size * window.BASES_AT_LEAST > self.settings.limit_bytes:
            self.fail(f"limit {size}")
            return
        self.store.require_room(size)
        self.label = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(where.now))
        path = self.store.base(self.label) + TAKING
        take = (
            *GENTLY, f"{self.settings.bin}/pg_basebackup", "--no-password",
            "--host", self.settings.socket, "--port", str(self.settings.port),
            "--username=postgres", "--pgdata", path,
            "--wal-method=stream", "--checkpoint=fast", "--label=relevo",
        )  # fmt: skip
        both = " && ".join(map(shlex.join, filter(None, (take, verifying(self.settings, path)))))
        with open(self.log, "wb") as log:
            self.taking = subprocess.Popen(("sh", "-c", both), stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return f"{self.settings.folder}/base.log"

    @property
    def is_taken(self) -> bool:
        return self.taking is not None and self.taking.poll() is not None

    def fail(self, why: str) -> None:
        self.why, self.failed = why, time.monotonic()

    def finish(self, where: Where) -> None:
        """Give a base backup that is proven its name, and a line in the ledger."""
        assert self.taking is not None, "it was begun"
        status, self.taking = self.taking.poll(), None
        path = self.store.base(self.label)
        if status:
            shutil.rmtree(path + TAKING, ignore_errors=True)
            self.fail(_last_words(self.log) or f"status {status}")
            return
        timeline, position = _begins(path + TAKING)
        os.rename(path + TAKING, path)  # pg_basebackup has synced what it has copied
        durable.sync(self.settings.bases)
        mark, size = signature(path)
        where, start = cluster.locate(self.settings), position // where.segment
        base = Base(self.label, timeline, position, start, where.second, where.now, size)
        self.ledger.add_base(base, mark)
        self.why, self.failed = "", 0.0
        self.prune(where)

    def prune(self, where: Where) -> None:
        """Let go what is older than the days, or more than the bytes; then the WAL before it."""
        bases, sizes = [base for base, _ in self.ledger.bases()], self.store.size_of_wal()
        numbers = {name: names.number(name, where.segment) for name in sizes}

        def wal_from(start: int) -> int:
            return sum(sizes[name] for name, number in numbers.items() if number >= start)

        gone = window.superfluous(
            bases, wal_from=wal_from, now=where.now, days=self.settings.days,
            limit=self.settings.limit_bytes,
        )  # fmt: skip
        for base in gone:
            self.ledger.forget_base(base.label)
            self.store.remove_base(base.label)
        kept = [base.start for base in bases if base not in gone]
        for name, number in numbers.items():
            if kept and number < min(kept):
                self.forget(name)
                self.store.remove_segment(name)


def _tried(act: Callable[[Where], None], where: Where) -> dict[str, object]:
    """Do something; say what keeps it from being done."""
    try:
        act(where)
    except Full as error:
        return {"kind": "full", "said": str(error)}
    except OSError as error:
        return {"kind": "disk", "said": str(error)}
    return {"kind": "", "said": ""}


def _begins(path: str) -> tuple[int, int]:
    """Read in a base backup on which timeline it begins, and where."""
    label = read_text(f"{path}/backup_label")
    facts = dict(line.split(": ", 1) for line in label.splitlines() if ": " in line)
    place = facts["START WAL LOCATION"].split()[0]
    return int(facts["START TIMELINE"]), names.position(place)


def _size(directory: str) -> int:
    """What a base backup of a data directory takes: all but the WAL."""
    size = 0
    for top, folders, files in os.walk(directory):
        if top == directory and "pg_wal" in folders:
            folders.remove("pg_wal")
        for name in files:
            path = os.path.join(top, name)
            size += os.lstat(path).st_size if os.path.lexists(path) else 0
    return size


def _last_words(path: str) -> str:
    lines = read_text(path, 1 << 20).strip().splitlines()
    return lines[-1][-300:] if lines else ""
