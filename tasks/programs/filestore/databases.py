"""The databases of a standby: which are read, and why others are not."""

from __future__ import annotations

from typing import Callable, NamedTuple  # Python 3.8

from . import questions
from .names import is_database
from .trouble import OF_ALL, ClusterSaysNo, sentence
from .wire import Cluster


class Barred(NamedTuple):
    """Why a database is not read; one of another role's that keeps ours out has no files here."""

    why: str
    foreign: bool = False


class Databases:
    """The databases of one cluster, as the role that reads them found them last."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.known: list[str] = []
        self.barred: dict[str, Barred] = {}
        self.owners: dict[str, str] = {}
        self.oids: dict[str, str] = {}

    def read(self, cluster: Cluster) -> list[str]:
        """Ask for the databases of the cluster that may have attachments.

        Those that cannot be read are noted as barred, each with the reason.
        """
        rows = cluster.ask("postgres", questions.DATABASES)
        found = {}
        for name, oid, owner, *let_in in rows:
            self.oids[str(name)], self.owners[str(name)] = str(oid), str(owner)
            found[str(name)] = self._objection(str(name), *(each == "t" for each in let_in))
        self.barred = {name: barred for name, barred in found.items() if barred}
        self.known = [name for name, barred in found.items() if not barred]
        return self.known

    def _objection(self, name: str, allows: bool, may: bool) -> Barred | None:  # noqa: FBT001
        if not allows:
            return Barred("it allows no connections")
        if not may:
            return self._barred(name, f"role {self.role} may not connect to it", keeps_out=True)
        return None if is_database(name) else Barred("its name can be no folder of the filestore")

    def _barred(self, name: str, why: str, *, keeps_out: bool) -> Barred:
        owner = self.owners.get(name, self.role)
        if keeps_out and owner != self.role:
            return Barred(f"{why}, and it belongs to {owner}", foreign=True)
        return Barred(why)

    def alone(self, database: str, work: Callable[[], object]) -> str:
        """Work on one database; say what went wrong where that is the matter of it alone.

        One of another role's that keeps ours out is no trouble, and noted as barred.
        """
        try:
            work()
            self.barred.pop(database, None)
        except OF_ALL:
            raise
        except Exception as error:  # noqa: BLE001  # a customer's tables may say anything
            keeps_out = isinstance(error, ClusterSaysNo) and error.keeps_out
            barred = self._barred(database, sentence(error), keeps_out=keeps_out)
            self.barred[database] = barred
            return "" if barred.foreign else f"{database}: {barred.why}"
        return ""

    def twice(self, database: str, work: Callable[[], object]) -> None:
        """Work on one database; one that cancelled us, or was made anew, gets a second chance."""
        if self.alone(database, work):
            self.alone(database, work)

    def drop_barred(self) -> None:
        """Forget as known what could not be read after all."""
        self.known = [name for name in self.known if name not in self.barred]

    def never_read(self) -> list[str]:
        """Name the databases that are not read, each with the reason."""
        return [f"{name}: {each.why}" for name, each in self.barred.items() if not each.foreign]

    def foreign(self) -> list[str]:
        """Name those that are another role's and not ours to read."""
        return [f"{name}: {each.why}" for name, each in self.barred.items() if each.foreign]
