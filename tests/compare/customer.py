"""A client that also knows which host has acknowledged each document."""

import time
from pathlib import Path

from tests.compare import contender
from tests.lab.client import Client, Written
from tests.lab.image import DATABASES
from tests.oracles import Pair

LOOK_SECONDS = 0.3


class Customer(Client):
    """Goes to the recovery host while its cluster accepts writes, else to the origin.

    One whose DNS is stale goes to the origin whatever happens.
    """

    def __init__(self, pair: Pair, journal: Path, *, stale: bool = False) -> None:
        super().__init__(self._where, DATABASES, journal)
        self.pair, self.stale = pair, stale
        self.served: list[tuple[float, str]] = []
        self._site, self._looked = "origin", 0.0

    def _where(self) -> tuple[str, int]:
        if not self.stale and time.monotonic() > self._looked + LOOK_SECONDS:
            away = contender.recovery_role(self.pair) == "f"
            self._site, self._looked = "recovery" if away else "origin", time.monotonic()
        if self._site == "recovery":
            return self.pair.recovery.address, self.pair.http_port
        return self.pair.origin.odoo

    def _remember(self, written: Written) -> None:
        super()._remember(written)
        self.served.append((written.at, self._site))

    def first(self, site: str, since: float) -> float | None:
        """When a host first acknowledged something since then."""
        return next((at for at, where in list(self.served) if where == site and at > since), None)

    def last(self, site: str, before: float) -> float | None:
        """When a host last acknowledged something before then."""
        return max((at for at, where in self.served if where == site and at < before), default=None)
