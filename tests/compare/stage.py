"""Where an accident is played: two hosts, customers, somebody at the keyboard, and the clock."""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.compare import contender
from tests.compare.contender import Contender
from tests.compare.customer import Customer
from tests.lab.client import REFUSALS, Audit, audit
from tests.lab.lab import Lab
from tests.lab.machine import Machine, wait_until
from tests.lab.trouble import LabError
from tests.oracles import Pair

ATTEMPTS = 3
SERVED_SECONDS, HOME_SECONDS = 45, 20
ANSWER_SECONDS = 60


@dataclass
class Seen:
    """What was measured; nothing here is anybody's word but `said`."""

    failover_seconds: float | None = None
    home_seconds: float | None = None
    home_downtime: float | None = None
    lost_while_away: int | None = None
    files_missing_while_away: int | None = None
    attempts: int = 0
    notes: list[str] = field(default_factory=list)


class Stage:
    """The verbs of the accidents."""

    def __init__(self, pair: Pair, who: Contender, journal: Path) -> None:
        self.pair, self.who, self.journal = pair, who, journal
        self.seen = Seen()
        self.customer = Customer(pair, journal)
        self.stale: Customer | None = None

    @property
    def lab(self) -> Lab:
        return self.pair.lab

    @property
    def origin(self) -> Machine:
        return self.pair.origin.machine

    @property
    def recovery(self) -> Machine:
        return self.pair.recovery

    def load(self, documents: int = 15) -> None:
        """Have customers write."""
        if not self.customer.is_alive():
            self.customer.start()
        self.customer.wait_until_acknowledged(documents, 120)

    def some_are_stale(self) -> None:
        """Half of the customers do not hear of DNS."""
        self.stale = Customer(self.pair, self.journal, stale=True)
        self.stale.start()

    def order_failover(self) -> None:
        self._away(self.who.failover)

    def order_move(self) -> None:
        self._away(self.who.move)

    def order_both(self) -> None:
        """Two operators at the same time: one moves the customers, one believes the origin dead."""

        def both() -> None:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda act: act(), (self.who.move, self.who.failover)))

        self._away(both)

    def _away(self, act: Callable[[], None]) -> None:
        begun = time.time()
        act()
        with suppress(TimeoutError):
            wait_until(lambda: self.customer.first("recovery", begun), "served", SERVED_SECONDS)
        served = self.customer.first("recovery", begun)
        self.seen.failover_seconds = None if served is None else round(served - begun, 1)
        if served is not None:
            with suppress(TimeoutError):
                self.customer.wait_until_acknowledged(10, SERVED_SECONDS)
            there = self.audit("recovery")
            if there is not None:
                self.seen.lost_while_away = len(there.lost_rows)
                self.seen.files_missing_while_away = len(there.broken_files)

    def order_home(self) -> None:
        """Bring them home; who does not get there tries again, as one does."""
        begun = time.time()
        for _ in range(ATTEMPTS):
            self.seen.attempts += 1
            self.who.home()
            with suppress(TimeoutError):
                wait_until(lambda: self._is_home(begun), "home", HOME_SECONDS)
                break
        served = self._served_at_home(begun)
        if served is None:
            return
        self.seen.home_seconds = round(served - begun, 1)
        before = self.customer.last("recovery", served)
        if before is not None:
            self.seen.home_downtime = round(served - before, 1)

    def _is_home(self, begun: float) -> bool:
        served = self._served_at_home(begun)
        return served is not None and contender.recovery_role(self.pair) == "t"

    def _served_at_home(self, begun: float) -> float | None:
        return self.customer.first("origin", begun)

    def audit(self, site: str) -> Audit | None:
        """Read everything back at one host; nothing where Odoo does not answer there."""
        at = self.pair.origin.odoo if site == "origin" else (
            self.recovery.address, self.pair.http_port
        )  # fmt: skip
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            with suppress(*REFUSALS):
                return audit(*at, self.journal)
            time.sleep(0.5)
        return None

    def ended(self) -> str:
        """Say in what state everything is left."""
        origin, recovery = contender.origin_role(self.pair), contender.recovery_role(self.pair)
        if origin == recovery == "f":
            return "two primaries"
        if origin == "f":
            streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            with suppress(LabError):
                if recovery == "t" and self.pair.at_origin(streams) != "0":
                    return "home, with a standby"
            return "home, without a standby"
        if recovery == "f":
            return "at the recovery host"
        return "nobody serves"

    def longest_outage(self) -> float:
        """The longest time for which those who follow DNS were served by nobody."""
        times = [at for at, _ in self.customer.served]
        return round(max((b - a for a, b in itertools.pairwise(times)), default=0.0), 1)

    def stop(self) -> None:
        for each in (self.customer, self.stale):
            if each is not None and each.is_alive():
                each.stop()
