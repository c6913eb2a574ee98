"""A real customer: writes documents over XML-RPC and remembers each that was acknowledged."""

import base64
import hashlib
import http.client
import json
import os
import threading
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

LOGIN, PASSWORD = "admin", "admin"
ANSWER_SECONDS = 10
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

    def call(self, model: str, method: str, *arguments: object, **options: object) -> object:
        """Call a method of a model, as admin."""
        user = self._proxy("common").authenticate(self.database, LOGIN, PASSWORD, {})
        return self._proxy("object").execute_kw(
            self.database, user, PASSWORD, model, method, list(arguments), options
        )

    def _proxy(self, service: str) -> xmlrpc.client.ServerProxy:
        url = f"http://{self.address}:{self.port}/xmlrpc/2/{service}"
        return xmlrpc.client.ServerProxy(url, transport=Transport(), allow_none=True)


@dataclass(frozen=True)
class Written:
    """A document that the server said is saved."""

    at: float
    database: str
    id: int
    name: str
    sha1: str


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
        self.refused = 0
        self._ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            database = self.databases[number % len(self.databases)]
            try:
                self._write(database, number)
            except REFUSALS:
                self.refused += 1
                self._ended.wait(0.2)

    def _write(self, database: str, number: int) -> None:
        content = os.urandom(2000 + number * 977 % 58000)
        name = f"documento {number} {os.urandom(4).hex()}"
        made = Odoo(*self.where(), database).call(
            "ir.attachment",
            "create",
            {"name": name, "datas": base64.b64encode(content).decode(), "res_model": "res.partner"},
        )
        identifier = made[0] if isinstance(made, list) else made
        sha1 = hashlib.sha1(content).hexdigest()
        line = {"at": time.time(), "database": database, "id": identifier, "name": name, "sha1": sha1}
        with self.journal.open("a") as journal:
            journal.write(json.dumps(line) + "\n")

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=3 * ANSWER_SECONDS)


def written(journal: Path) -> list[Written]:
    """What was acknowledged, in order."""
    if not journal.exists():
        return []
    return [Written(**json.loads(line)) for line in journal.read_text().splitlines()]


@dataclass(frozen=True)
class Audit:
    """What became of acknowledged documents."""

    acknowledged: list[Written]
    lost_rows: list[Written]
    broken_files: list[Written]

    @property
    def whole(self) -> bool:
        return not self.lost_rows and not self.broken_files


def audit(address: str, port: int, journal: Path, *, batch: int = 50) -> Audit:
    """Read every acknowledged document back, and compare its content."""
    acknowledged = written(journal)
    lost, broken = [], []
    for database in sorted({each.database for each in acknowledged}):
        mine = [each for each in acknowledged if each.database == database]
        odoo = Odoo(address, port, database)
        for start in range(0, len(mine), batch):
            part = mine[start : start + batch]
            found = odoo.call(
                "ir.attachment", "search_read", [["name", "in", [each.name for each in part]]],
                fields=["name", "datas"],
            )  # fmt: skip
            assert isinstance(found, list)
            content = {row["name"]: base64.b64decode(row["datas"] or b"") for row in found}
            lost += [each for each in part if each.name not in content]
            broken += [
                each
                for each in part
                if each.name in content
                and hashlib.sha1(content[each.name]).hexdigest() != each.sha1
            ]
    return Audit(acknowledged, lost, broken)
