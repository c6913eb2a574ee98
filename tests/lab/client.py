"""A real customer: writes documents over XML-RPC and remembers each that was acknowledged."""

import base64
import hashlib
import http.client
import itertools
import json
import os
import threading
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self
from xml.parsers.expat import ExpatError

from tests.lab.machine import wait_until

LOGIN, PASSWORD = "admin", "admin"
ANSWER_SECONDS = 10
# Odoo hides a document of a model without a record from searches, even from admin.
ATTACHED = {"res_model": "res.partner", "res_id": 1}
# Odoo's own collector removes the file of a document that is being saved meanwhile (Odoo 14 says
# "filestore gc 206 checked, 1 removed" in the second of a save). That is no doing of ours.
NO_VACUUM = "UPDATE ir_cron SET active = false WHERE cron_name ILIKE '%vacuum%'"
REFUSALS = (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError)


class Transport(xmlrpc.client.Transport):
    """XML-RPC that does not wait for ever."""

    def make_connection(self, host: str) -> http.client.HTTPConnection:  # type: ignore[override]
        connection = super().make_connection(host)
        connection.timeout = ANSWER_SECONDS
        return connection


@dataclass(frozen=True)
class Odoo:
    """One database of one Odoo, as a client sees it."""

    address: str
    port: int
    database: str

    def login(self) -> int:
        """Log in as admin; give the user's number."""
        user = self._ask("common", "authenticate", self.database, LOGIN, PASSWORD, {})
        if not isinstance(user, int) or not user:
            raise xmlrpc.client.Fault(1, f"{self.database} knows no {LOGIN}")
        return user

    def call(
        self, model: str, method: str, *arguments: object, user: int = 0, **options: object
    ) -> object:
        """Call a method of a model, as admin."""
        return self._ask(
            "object", "execute_kw", self.database, user or self.login(), PASSWORD,
            model, method, list(arguments), options,
        )  # fmt: skip

    def _ask(self, service: str, method: str, *arguments: object) -> object:
        url = f"http://{self.address}:{self.port}/xmlrpc/2/{service}"
        with xmlrpc.client.ServerProxy(url, transport=Transport(), allow_none=True) as proxy:
            answer: object = getattr(proxy, method)(*arguments)
        return answer


@dataclass(frozen=True)
class Written:
    """A document that the server said is saved."""

    at: float
    database: str
    id: int
    name: str
    sha1: str
    size: int


class Client(threading.Thread):
    """Writes documents all the while; an outage is waited out."""

    def __init__(
        self, where: Callable[[], tuple[str, int]], databases: tuple[str, ...], journal: Path
    ) -> None:
        """`where` tells the server's address and port, as DNS tells customers."""
        super().__init__(daemon=True)
        self.where = where
        self.databases = databases
        self.journal = journal
        self.acknowledged = 0
        self.refused = 0
        self.last_refusal = ""
        self._users: dict[tuple[str, int, str], int] = {}
        self._ended = threading.Event()

    @classmethod
    def at(cls, address: str, port: int, databases: tuple[str, ...], journal: Path) -> Self:
        """Write to a fixed server, until told to move."""
        return cls(lambda: (address, port), databases, journal)

    def move_to(self, address: str, port: int) -> None:
        """Go to another server from now on."""
        self.where = lambda: (address, port)

    def run(self) -> None:
        """Write until stopped; count what is refused."""
        number = 0
        while not self._ended.is_set():
            number += 1
            database = self.databases[number % len(self.databases)]
            try:
                self._write(database, number)
            except REFUSALS as refusal:
                self.refused += 1
                self.last_refusal = repr(refusal)
                self._ended.wait(0.2)

    def _write(self, database: str, number: int) -> None:
        content = os.urandom(2000 + number * 977 % 58000)
        name = f"documento {number} {os.urandom(4).hex()}"
        datas = base64.b64encode(content).decode()
        values = {"name": name, "datas": datas, **ATTACHED}
        odoo = Odoo(*self.where(), database)
        made = odoo.call("ir.attachment", "create", values, user=self._user(odoo))
        identifier = made[0] if isinstance(made, list) else made
        assert isinstance(identifier, int)
        sha1 = hashlib.sha1(content).hexdigest()
        self._remember(Written(time.time(), database, identifier, name, sha1, len(content)))

    def _user(self, odoo: Odoo) -> int:
        where = (odoo.address, odoo.port, odoo.database)
        if where not in self._users:
            self._users[where] = odoo.login()
        return self._users[where]

    def _remember(self, written: Written) -> None:
        with self.journal.open("a") as journal:
            journal.write(json.dumps(asdict(written)) + "\n")
        self.acknowledged += 1

    def wait_until_acknowledged(self, documents: int, timeout_seconds: float = 60) -> None:
        """Wait until this many more documents are saved: customers are being served."""
        goal = self.acknowledged + documents
        try:
            wait_until(
                lambda: self.acknowledged >= goal, f"{documents} more saved", timeout_seconds
            )
        except TimeoutError as error:
            raise TimeoutError(f"{error}; last refused with {self.last_refusal}") from None

    def stop(self) -> None:
        """End, after the document at hand."""
        self._ended.set()
        self.join(timeout=3 * ANSWER_SECONDS)


def written(journal: Path) -> list[Written]:
    """Read what was acknowledged, in order."""
    if not journal.exists():
        return []
    return [Written(**json.loads(line)) for line in journal.read_text().splitlines()]


def longest_outage_seconds(journal: Path) -> float:
    """Give the longest time between two acknowledgements."""
    times = [each.at for each in written(journal)]
    return max((b - a for a, b in itertools.pairwise(times)), default=0.0)


@dataclass(frozen=True)
class Audit:
    """What became of acknowledged documents."""

    acknowledged: list[Written]
    lost_rows: list[Written]
    broken_files: list[Written]

    @property
    def whole(self) -> bool:
        """Whether everything that was acknowledged is there, with its content."""
        return not self.lost_rows and not self.broken_files


def audit(address: str, port: int, journal: Path, *, batch: int = 50) -> Audit:
    """Read every acknowledged document back, and compare its content."""
    acknowledged = written(journal)
    lost: list[Written] = []
    broken: list[Written] = []
    for database in sorted({each.database for each in acknowledged}):
        mine = [each for each in acknowledged if each.database == database]
        odoo = Odoo(address, port, database)
        user = odoo.login()
        for start in range(0, len(mine), batch):
            part = mine[start : start + batch]
            sums = _sums(odoo, user, [each.name for each in part])
            lost += [each for each in part if each.name not in sums]
            broken += [each for each in part if sums.get(each.name, each.sha1) != each.sha1]
    return Audit(acknowledged, lost, broken)


def _sums(odoo: Odoo, user: int, names: list[str]) -> dict[str, str]:
    """Give the sha1 of what each document holds now."""
    found = odoo.call(
        "ir.attachment", "search_read", [["name", "in", names]],
        user=user, fields=["name", "datas"],
    )  # fmt: skip
    assert isinstance(found, list)
    return {row["name"]: _sha1(row["datas"]) for row in found}


def _sha1(datas: object) -> str:
    content = base64.b64decode(datas) if isinstance(datas, str) else b""
    return hashlib.sha1(content).hexdigest()
