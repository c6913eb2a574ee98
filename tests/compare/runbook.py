"""The runbook, typed line by line by somebody who reads what he is told to read."""

from pathlib import Path

from tests.compare import contender
from tests.compare.session import Session
from tests.lab.machine import wait_until
from tests.oracles import Pair

HERE = Path(__file__).parent
PROMOTED_SECONDS = 60


class Runbook:
    """Its commands in its order; each remedy where the text says so, and no other."""

    name = "the runbook"
    plays: tuple[str, ...] = ()

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.said: list[str] = []
        self.session = Session(pair.lab, HERE / "runbook.session", values(pair, "False"), self.said)
        self.files = Session(pair.lab, HERE / "files.session", values(pair, "False"), self.said)
        self.type = self.session.type

    def install(self) -> None:
        self.type("origin: permit replication")
        self.type("recovery: passwords")
        self.type("recovery: create the cluster")
        self.type("recovery: replicate")
        install_files(self.pair, self.files)

    def ready(self) -> None:
        """Cron is started by the host itself."""

    def failover(self) -> None:
        self.type("failover: stop the copies")
        self.type("failover: PostgreSQL")
        if self._writable():
            self.type("failover: Odoo")

    def _writable(self) -> bool:
        """Look until the log says so, or somebody gives up."""
        try:
            wait_until(
                lambda: contender.recovery_role(self.pair) == "f", "writes", PROMOTED_SECONDS
            )
        except TimeoutError:
            self.said.append("the recovery cluster never became writable")
            return False
        return True

    def move(self) -> None:
        self.type("move: stop Odoo at the origin")
        self.failover()

    def home(self) -> None:
        self.type("failback: stop Odoo at the origin")
        self.type("failback: files")
        self.type("failback: the recovery cluster as a primary")
        self.type("failback: the original as a standby")
        if not (self._follows("started") or self._rewound() or self._copied()):
            self.said.append("the original could not be made a standby; the text ends here")
            return
        self.type("failback: promote the original")
        self.repair()

    def _follows(self, how: str) -> bool:
        """What the log should say: ready for read-only connections, and synchronised."""
        machine, port = self.pair.origin.machine, self.pair.origin.port
        good = contender.follows(machine, port)
        if not good:
            was = {"f": "opened for writes", "t": "is a standby that receives nothing"}
            now = was.get(contender.origin_role(self.pair), "does not answer")
            self.said.append(f"{how}, the original {now}")
        return good

    def _rewound(self) -> bool:
        done = self.type("failback: undo with pg_rewind")
        done = done or self.type("failback: undo with pg_rewind, by the note")
        self.type("failback: start the original")
        return self._follows("rewound" if done else "after pg_rewind failed")

    def _copied(self) -> bool:
        self.type("failback: copy the original anew")
        return self._follows("copied anew")

    def notices(self) -> bool:
        """Ask pg_stat_replication at the origin, as the text does."""
        return self.pair.at_origin("SELECT count(*) FROM pg_stat_replication") == "0"

    def repair(self) -> None:
        """Follow the section on replication again."""
        self.type("recovery: stop the stale replica")
        self.type("recovery: replicate")
        if not contender.follows(self.pair.recovery, self.pair.port, timeout_seconds=10):
            self.type("recovery: stop the stale replica")
            self.type("recovery: replicate into the slot that is there")


def values(pair: Pair, db_user: str) -> dict[str, str]:
    return {
        "V": str(pair.origin.version), "ORIGIN": pair.origin.address,
        "RECOVERY": pair.recovery.address, "DB_USER": db_user,
    }  # fmt: skip


def install_files(pair: Pair, session: Session) -> None:
    """Lay out the copies of files and the unit of Odoo."""
    session.type("files: key")
    contender.admit(pair.recovery, "odoouser", "id_rsa", pair.origin.machine, "odoo")
    session.type("files: first copy")
