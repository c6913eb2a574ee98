"""Keep all instances of this host in step, for as long as they are standbys here.

Each instance has two threads: one looks several times a second whether anything was replayed and
fetches the newest files at once; the other proves with a scan, at a slower pace, that nothing was
missed. An origin that is away is tried again later and later; a cluster that has been promoted is
left alone until it is a standby again.

Whatever goes wrong with one instance is said of that instance, and the others go on.
"""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

from . import decide, questions
from .engine import Engine
from .origin import wait_before
from .settings import Settings, read
from .state_file import is_spoiled
from .trouble import OF_ALL, ClusterAway, OriginAway, Promoted, sentence

LOOK_SECONDS = 0.05
QUIET_LOOK_SECONDS = 0.2
QUIET_AFTER_SECONDS = 10.0
DATABASES_SECONDS = 5.0
PROMOTED_SECONDS = 5.0
SAY_SECONDS = 5.0
WELL_SECONDS = 60.0  # what went well for so long starts anew when it fails
SAID = 1000  # characters
# The worst of what the threads of an instance say is how it goes with the instance.
WORST = ("promoted", "failing", "away", "following")
DONE = {"look": "looked", "prove": "proved"}


@dataclass
class Condition:
    """How it goes, as the watching flow reads it."""

    instance: str
    state: str = "starting"
    said: str = ""
    since: float = field(default_factory=time.time)
    begun: float = field(default_factory=time.time)
    looked: float = 0.0  # when each of the two threads last did its work, and well
    proved: float = 0.0
    scans: int = 0
    fetched: int = 0
    scan_seconds: float = 0.0

    def become(self, state: str, said: str = "") -> None:
        if (state, said) != (self.state, self.said):
            if state != self.state:
                self.since = time.time()
            self.state, self.said = state, said[:SAID]


class Follower:
    """One instance, followed by two threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.condition = Condition(settings.instance)
        self.engine = Engine(settings)
        self.ended = threading.Event()
        self.moved = threading.Event()
        self.lock = threading.Lock()
        self.states: dict[str, tuple[str, str]] = {}
        self.threads = [
            threading.Thread(target=self._keep, args=(body, name), daemon=True, name=name)
            for name, body in (("look", self._look), ("prove", self._prove))
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def is_well(self) -> bool:
        """Tell whether both threads live, and what they know is still where it was."""
        return self.engine.state.stands() and all(each.is_alive() for each in self.threads)

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
            except Promoted as error:
                self._is(name, "promoted", error.message)
                self.engine.cluster.close()
                self.moved.set()  # the other thread looks for itself, and leaves too
                self.ended.wait(PROMOTED_SECONDS)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is this instance's alone
                if is_spoiled(error):
                    self.engine.state.put_aside()  # and the whole of this is begun anew
                if time.monotonic() - begun > WELL_SECONDS:
                    tries = 0
                tries += 1
                away = isinstance(error, (OriginAway, ClusterAway))
                self._is(name, "away" if away else "failing", sentence(error))
                self.ended.wait(wait_before(tries))

    def _is(self, name: str, state: str, said: str = "") -> None:
        """Note how one thread fares; a good word of one hides no bad one of another."""
        with self.lock:
            if state == "following":
                setattr(self.condition, DONE[name], time.time())
            self.states[name] = state, said
            worst = min(self.states.values(), key=lambda each: WORST.index(each[0]))
            self.condition.become(*worst)

    def _look(self) -> None:
        """Fetch the newest files as soon as they are known."""
        cluster, last, listed, quiet = self.engine.cluster, "", 0.0, 0.0
        databases: list[str] = []
        unread: dict[str, str] = {}
        while not self.ended.is_set():
            lsn, recovering = cluster.ask("postgres", questions.POSITION)[0]
            if recovering != "t":
                self._promoted()
            now = time.monotonic()
            if lsn != last or (unread and now - listed > DATABASES_SECONDS):
                last, quiet = str(lsn), now
                if now - listed > DATABASES_SECONDS or not databases:
                    databases, listed = self._with_attachments(), now
                    unread = {name: said for name, said in unread.items() if name in databases}
                for database in databases:
                    self._tail(database, unread)
                self.moved.set()  # only now: the proof would fetch and sync the same beside this
            self._is("look", "failing" if unread else "following", "; ".join(unread.values()))
            still = now - quiet > QUIET_AFTER_SECONDS
            self.ended.wait(QUIET_LOOK_SECONDS if still else LOOK_SECONDS)

    def _tail(self, database: str, unread: dict[str, str]) -> None:
        """Fetch the newest of one database; one that says nothing of use is in nobody's way."""
        try:
            self.condition.fetched += self.engine.tail(database)
        except OF_ALL:
            raise
        except Exception as error:  # noqa: BLE001  # a customer's tables may say anything
            unread[database] = f"{database}: {sentence(error)}"
        else:
            unread.pop(database, None)

    def _with_attachments(self) -> list[str]:
        found = []
        for database in self.engine.databases.read(self.engine.cluster):
            mark = self.engine.state.watermark(database)
            if mark is not None and mark.guard.table_oid != "0":
                found.append(database)
        return found

    def _promoted(self) -> None:
        raise Promoted(f"the cluster of {self.settings.instance} accepts writes: not followed")

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
                self._is("prove", "failing" if unread else "following", "; ".join(unread))
                self.ended.wait(decide.rest_seconds(took))
                if not self.engine.state.count():
                    self.moved.wait(timeout=60)
        finally:
            cluster.close()


@dataclass
class Broken:
    """Settings that nobody can follow, tried again later and later."""

    condition: Condition
    tries: int = 0
    due: float = 0.0


class Followers:
    """All instances whose settings lie below a folder; new ones join, removed ones leave."""

    def __init__(self, pattern: str, say: Callable[[list[Condition]], None]) -> None:
        self.pattern, self.say = pattern, say
        self.running: dict[str, tuple[float, Follower]] = {}
        self.broken: dict[str, Broken] = {}
        self.leaving: dict[str, tuple[Follower, threading.Thread]] = {}

    @property
    def conditions(self) -> list[Condition]:
        running = [follower.condition for _, follower in self.running.values()]
        leaving = [follower.condition for follower, _ in self.leaving.values()]
        return [*running, *leaving, *(each.condition for each in self.broken.values())]

    def turn(self) -> None:
        """Start who is new or changed, stop who is gone."""
        paths = stamps(glob.glob(self.pattern))
        for path, (stamp, follower) in list(self.running.items()):
            if paths.get(path) != stamp or not follower.is_well():
                del self.running[path]
                self._leave(path, follower)
        for path, (_, thread) in list(self.leaving.items()):
            if not thread.is_alive():
                del self.leaving[path]
        for path in set(self.broken) - set(paths):
            del self.broken[path]
        for path, stamp in paths.items():
            broken = self.broken.get(path)
            free = path not in self.running and path not in self.leaving
            if free and (broken is None or broken.due <= time.monotonic()):
                self._start(path, stamp)

    def _start(self, path: str, stamp: float) -> None:
        """Follow one instance; one that cannot be followed keeps nobody else from it."""
        try:
            follower = Follower(read(path))
            follower.start()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this instance's alone
            broken = self.broken.setdefault(path, Broken(Condition(instance_of(path))))
            broken.tries += 1
            broken.due = time.monotonic() + wait_before(broken.tries)
            broken.condition.become("failing", sentence(error))
        else:
            self.broken.pop(path, None)
            self.running[path] = (stamp, follower)

    def _leave(self, path: str, follower: Follower) -> None:
        """Stop to follow one instance; one that takes its time keeps nobody else waiting."""
        thread = threading.Thread(target=self._stop, args=(follower,), daemon=True)
        thread.start()
        self.leaving[path] = follower, thread

    @staticmethod
    def _stop(follower: Follower) -> None:
        with contextlib.suppress(Exception):  # it is gone; what it held is closed with its threads
            follower.stop()

    def run(self, ended: threading.Event) -> None:
        """Follow until told to end; say every few seconds how it goes."""
        while not ended.is_set():
            try:
                self.turn()
                self.say(self.conditions)
            except Exception as error:  # noqa: BLE001  # a full disk, a folder that is just moved
                print(f"not said how it goes: {sentence(error)}", file=sys.stderr, flush=True)
            ended.wait(SAY_SECONDS)
        for _, follower in self.running.values():
            self._stop(follower)


def stamps(paths: list[str]) -> dict[str, float]:
    """When files were written, of those that are still there."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            found[path] = os.stat(path).st_mtime
    return found


def instance_of(path: str) -> str:
    """Whose settings these are, by where they lie.

    >>> instance_of("/var/lib/relevo/vps_1/engine/settings.json")
    'vps_1'
    """
    return os.path.basename(os.path.dirname(os.path.dirname(path)))
