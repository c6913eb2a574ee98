"""The watch: whoever may not serve any more is stopped, whoever waits for a word is started."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from ..bounded import TooLong, lines
from ..journal import say
from .guard import BEAT_SECONDS, Guard
from .notes import forget
from .receipts import LINE_BYTES, newest, verdict
from .units import active, stop_odoo, systemctl

LINES = 1000  # of one conversation; the recovery host ends it after 300, one every other second
SILENCE_SECONDS = 30
PACE_SECONDS = 0.2


class Watch:
    """What the recovery host says all the time, and what follows from it."""

    def __init__(self, guard: Guard) -> None:
        self.guard, self.config, self.journal = guard, guard.config, guard.journal
        self.record, self.cluster = guard.record, guard.cluster
        self.known: dict[str, Any] | None = None
        self.heard = ""
        self.read: tuple[int, dict[str, Any] | None] = (0, None)

    def watch(self) -> int:
        """Listen to the recovery host for ever; where it is silent, what is known here counts."""
        while True:
            self.converse()
            try:
                self.insist()
            except Exception as error:  # noqa: BLE001
                self.journal.complain(f"a beat of the guard has failed: {error!r:.300}")
            time.sleep(BEAT_SECONDS)

    def converse(self) -> None:
        """Hear the recovery host for as long as it has something to say."""
        try:
            self.talk()
        except TooLong:
            pass  # it is silent
        except Exception as error:  # noqa: BLE001  # whatever it is, this has to go on
            self.journal.complain(f"the recovery host is not heard or understood: {error!r:.300}")

    def talk(self) -> None:
        argv = [*self.config["ssh"], "watch"]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as talk:
            try:
                self.listen(talk)
            finally:
                talk.kill()

    def listen(self, talk: subprocess.Popen[bytes]) -> None:
        """Hear line after line; one that comes faster than anybody asked for waits."""
        assert talk.stdout is not None, "it was asked for"
        for line in lines(
            talk.stdout.fileno(), limit=LINE_BYTES, seconds=SILENCE_SECONDS, count=LINES
        ):
            self.hear(line.decode(errors="replace"))
            time.sleep(PACE_SECONDS)

    def hear(self, line: str) -> None:
        """Act on what the recovery host says; the same words are judged once."""
        record = self.record
        if line != self.heard or record.unwritten or record.doubt or not record.right.exists():
            self.known = record.believe(line)
            self.heard = line
        else:
            self.known = newest(self.own_quickly(), self.known)
        self.enforce(self.known)
        record.write_down()

    def insist(self) -> None:
        """Hold what may not run by what is known here."""
        own = self.record.own()
        if own is not None and own["taker"] != self.config["place"]:
            self.enforce(own)
            self.record.write_down()

    def own_quickly(self) -> dict[str, Any] | None:
        """Read our own record again only if somebody has written it since."""
        stamp = self.record.right.stat().st_mtime_ns
        if self.read[0] != stamp:
            self.read = (stamp, self.record.own())
        return self.read[1]

    def enforce(self, known: dict[str, Any] | None) -> None:
        """Stop what may not run, and start what has waited for a word; a doubt does neither."""
        if known is None and self.record.doubt:
            self.journal.complain(self.record.doubt)
            return
        may, why = verdict(known, place=self.config["place"], answered=True, unanswered="serve")
        if not may:
            self.hold(why)
        elif self.guard.waiting.exists() and forget(self.journal, self.guard.waiting):
            say("told at last: " + why)
            for unit in (self.config["cluster_unit"], self.config["odoo_unit"]):
                systemctl("start", "--no-block", unit)
        if may and self.guard.held.exists() and not self.guard.waiting.exists():
            forget(self.journal, self.guard.held)

    def hold(self, why: str) -> None:
        """Stop what may not run: Odoo first, then PostgreSQL; a standby goes on."""
        unit = self.config["odoo_unit"]
        if active(unit):
            say("holding Odoo: " + why)
            stop_odoo(unit)
            self.guard.note(why)
        if self.cluster.accepts_writes():
            say("holding PostgreSQL: " + why)
            self.cluster.stop()
            self.cluster.leave_at_boot()
            self.guard.note(why)
