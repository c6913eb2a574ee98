"""The word before a start: may this server serve the instance?"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ..bounded import TooLong, TooMuch, read_text, run
from ..journal import Journal, say
from .cluster import Cluster
from .notes import keep
from .receipts import LINE_BYTES, verdict
from .record import Record

ASK_SECONDS = 5
BEAT_SECONDS = 1
BOOTING_SECONDS = 600


class Guard:
    """One instance at this server."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.journal = Journal()
        self.record = Record(config, self.journal)
        self.cluster = Cluster(config, self.journal)
        self.held = Path(config["held"])
        self.waiting = Path(config["waiting"])
        self.known: dict[str, Any] | None = None

    def ask(self, question: str) -> str | None:
        """Ask the recovery host; none when it does not answer.

        The question is "start" where the answer lets PostgreSQL write here, else "once".
        """
        argv = [*self.config["ssh"], question]
        try:
            done = run(argv, seconds=ASK_SECONDS, limit=LINE_BYTES)
        except TooLong:
            return None
        except TooMuch as error:
            self.journal.complain(
                f"the recovery host is not understood, which is no answer: {error}"
            )
            return None
        except OSError as error:
            self.journal.complain(f"{argv[0]} cannot be run: {error}")
            return None
        if done.status != 0:
            return None
        # What the files of the login there print stands before the answer, which is one line.
        return (done.text.strip().splitlines() or [""])[-1]

    def may_serve(self, what: str) -> tuple[bool, str]:
        """Decide before a start; a boot waits a while for its network."""
        question = "start" if what == "cluster" else "once"
        patience = self.config["wait_seconds"] if uptime() < BOOTING_SECONDS else 0
        deadline = time.monotonic() + patience
        while (line := self.ask(question)) is None and time.monotonic() < deadline:
            time.sleep(BEAT_SECONDS)
        self.known = self.record.own() if line is None else self.record.believe(line)
        self.record.write_down()
        return self.judge(answered=line is not None)

    def judge(self, *, answered: bool) -> tuple[bool, str]:
        return verdict(
            self.known, place=self.config["place"], answered=answered,
            unanswered=self.config["unanswered"], doubt=self.record.doubt,
        )  # fmt: skip

    def on_our_own(self, error: Exception) -> tuple[bool, str]:
        """Decide as if nobody had answered: a fault of this program's is no opinion."""
        self.journal.complain(f"the question has failed, which is no answer: {error!r:.300}")
        try:
            self.known = self.record.own()
        except Exception as more:  # noqa: BLE001  # whatever it is, it is no word of anybody's
            self.journal.complain(f"{self.record.right} has not been read: {more!r:.300}")
        return self.judge(answered=False)

    def before(self, what: str) -> int:
        """Let a unit start, or not."""
        if what == "cluster" and self.cluster.is_standby():
            say("a standby may start")
            return 0
        try:
            may, why = self.may_serve(what)
        except Exception as error:  # noqa: BLE001  # a healthy server stays up, whatever it is
            may, why = self.on_our_own(error)
        say(f"{what} {'may start' if may else 'stays down'}: {why}")
        if not may:
            if self.known is None or self.known["taker"] == self.config["place"]:
                keep(self.journal, self.waiting, why + "\n", 0o644)
            self.note(why)
        return 0 if may else 1

    def note(self, why: str) -> None:
        if not self.held.exists():
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            keep(self.journal, self.held, json.dumps({"time": now, "why": why}) + "\n", 0o600)


def uptime() -> float:
    return float(read_text("/proc/uptime").split()[0])
