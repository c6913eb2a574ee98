"""Keep all instances of this host in step, for as long as they are standbys here.

Each instance has two threads: one looks several times a second whether anything was replayed and
fetches the newest files at once; the other proves with a scan, at a slower pace, that nothing was
missed. An origin that is away is tried again later and later; a cluster that has been promoted is
left alone until it is a standby again.
"""

from __future__ import annotations

import glob
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

from . import decide, questions
from .engine import Engine
from .origin import wait_before
from .settings import Settings, read
from .trouble import ClusterAway, OriginAway, Refusal, Trouble

LOOK_SECONDS = 0.05
QUIET_LOOK_SECONDS = 0.2
QUIET_AFTER_SECONDS = 10.0
DATABASES_SECONDS = 5.0
PROMOTED_SECONDS = 5.0
SAY_SECONDS = 5.0


@dataclass
class Condition:
    """How it goes, as the watching flow reads it."""

    instance: str
    state: str = "starting"
    said: str = ""
    since: float = field(default_factory=time.time)
    scans: int = 0
    fetched: int = 0
    scan_seconds: float = 0.0

    def become(self, state: str, said: str = "") -> None:
        if (state, said) != (self.state, self.said):
            self.state, self.said, self.since = state, said, time.time()


class Follower:
    """One instance, followed by two threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.condition = Condition(settings.instance)
        self.engine = Engine(settings)
        self.ended = threading.Event()
        self.moved = threading.Event()
        self.threads = [
            threading.Thread(target=self._keep, args=(body, name), daemon=True, name=name)
            for name, body in (("look", self._look), ("prove", self._prove))
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.ended.set()
        self.moved.set()
        for thread in self.threads:
            thread.join(timeout=30)
        self.engine.close()

    def _keep(self, body: Callable[[], None], name: str) -> None:
        """Do it again after whatever went wrong, later and later."""
        tries = 0
        while not self.ended.is_set():
            begun = time.monotonic()
            try:
                body()
            except Refusal as error:
                self.condition.become("promoted", error.message)
                self.engine.cluster.close()
                self.moved.set()  # the other thread looks for itself, and leaves too
                self.ended.wait(PROMOTED_SECONDS)
            except (Trouble, OSError) as error:
                if time.monotonic() - begun > 60:  # noqa: PLR2004  # it had gone well
                    tries = 0
                tries += 1
                away = isinstance(error, (OriginAway, ClusterAway))
                said = error.message if isinstance(error, Trouble) else f"{name}: {error}"
                self.condition.become("away" if away else "failing", said)
                self.ended.wait(wait_before(tries))

    def _look(self) -> None:
        """Fetch the newest files as soon as they are known."""
        cluster, last, listed, quiet = self.engine.cluster, "", 0.0, 0.0
        databases: list[str] = []
        while not self.ended.is_set():
            lsn, recovering = cluster.ask("postgres", questions.POSITION)[0]
            if recovering != "t":
                self._promoted()
            now = time.monotonic()
            if lsn != last:
                last, quiet = str(lsn), now
                self.moved.set()
                if now - listed > DATABASES_SECONDS or not databases:
                    databases, listed = self._with_attachments(), now
                for database in databases:
                    self.condition.fetched += self.engine.tail(database)
            still = now - quiet > QUIET_AFTER_SECONDS
            self.ended.wait(QUIET_LOOK_SECONDS if still else LOOK_SECONDS)

    def _with_attachments(self) -> list[str]:
        found = []
        for database in self.engine.databases():
            mark = self.engine.state.watermark(database)
            if mark is not None and mark.guard.table_oid != "0":
                found.append(database)
        return found

    def _promoted(self) -> None:
        raise Refusal(f"the cluster of {self.settings.instance} accepts writes: not followed")

    def _prove(self) -> None:
        """Prove at a slower pace that nothing was missed, on sessions of its own."""
        cluster = self.engine.twin()
        try:
            while not self.ended.is_set():
                self.moved.clear()
                begun = time.monotonic()
                unread = self.engine.sweep(cluster)
                took = time.monotonic() - begun
                self.condition.scans += 1
                self.condition.scan_seconds = took
                if unread:
                    self.condition.become("failing", "; ".join(unread))
                else:
                    self.condition.become("following")
                self.ended.wait(decide.rest_seconds(took))
                if not self.engine.state.count():
                    self.moved.wait(timeout=60)
        finally:
            cluster.close()


class Followers:
    """All instances whose settings lie below a folder; new ones join, removed ones leave."""

    def __init__(self, pattern: str, say: Callable[[list[Condition]], None]) -> None:
        self.pattern, self.say = pattern, say
        self.running: dict[str, tuple[float, Follower]] = {}

    def turn(self) -> None:
        """Start who is new or changed, stop who is gone."""
        paths = {path: os.stat(path).st_mtime for path in glob.glob(self.pattern)}
        for path, (stamp, follower) in list(self.running.items()):
            if paths.get(path) != stamp:
                follower.stop()
                del self.running[path]
        for path, stamp in paths.items():
            if path not in self.running:
                follower = Follower(read(path))
                follower.start()
                self.running[path] = (stamp, follower)

    def run(self, ended: threading.Event) -> None:
        """Follow until told to end; say every few seconds how it goes."""
        while not ended.is_set():
            self.turn()
            self.say([follower.condition for _, follower in self.running.values()])
            ended.wait(SAY_SECONDS)
        for _, follower in self.running.values():
            follower.stop()
