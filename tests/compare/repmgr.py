"""repmgr, by somebody who knows its manual and Debian; files as the runbook copies them."""

from pathlib import Path

from tests.compare import contender, package
from tests.compare.runbook import install_files, values
from tests.compare.session import Session
from tests.lab.machine import wait_until
from tests.oracles import Pair

HERE = Path(__file__).parent
PROMOTED_SECONDS = 120


class Repmgr:
    """Promote by hand: in a cluster of two nobody else can tell a dead primary from a cut link."""

    name = f"repmgr {package.VERSION}"
    plays: tuple[str, ...] = ()

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.said: list[str] = []
        self.session = Session(pair.lab, HERE / "repmgr.session", values(pair, "odoo"), self.said)
        self.files = Session(pair.lab, HERE / "files.session", values(pair, "odoo"), self.said)
        self.type = self.session.type

    def install(self) -> None:
        pair, origin, recovery = self.pair, self.pair.origin.machine, self.pair.recovery
        built = package.ensure_package(pair.lab)
        package.install(origin, built)
        package.install(recovery, built)
        self.type("both: keys of postgres")
        contender.admit(origin, "postgres", "id_ed25519", recovery, "postgres")
        contender.admit(recovery, "postgres", "id_ed25519", origin, "postgres")
        self.type("both: configure")
        self.type("both: register")
        install_files(pair, self.files)

    def ready(self) -> None:
        """Cron is started by the host itself."""

    def failover(self) -> None:
        self.type("stop the copies")
        if not self.type("promote") and "replay is paused" in self.said[-1]:
            self.type("resume replay")
            self.type("promote")
        self._serve_at_recovery()

    def _serve_at_recovery(self) -> None:
        if contender.recovery_role(self.pair) == "f":
            self.type("start Odoo at the recovery host")

    def move(self) -> None:
        self.type("stop the copies")
        self.type("move: files")
        self.type("move: switch over to the recovery host")
        self._serve_at_recovery()
        if contender.recovery_role(self.pair) != "f":
            self.type("home: start Odoo at the origin")

    def home(self) -> None:
        machine, port = self.pair.origin.machine, self.pair.origin.port
        if not contender.follows(machine, port, timeout_seconds=1) and not self._rejoined():
            self.said.append("the origin could not be made a standby")
            return
        self.type("home: files while customers work")
        self.type("home: stop Odoo at the recovery host, the last files")
        self.type("home: switch over to the origin", mind=True)
        if contender.origin_role(self.pair) == "f":
            self.type("home: start Odoo at the origin")
        else:
            self._serve_at_recovery()

    def _rejoined(self) -> bool:
        machine, port = self.pair.origin.machine, self.pair.origin.port
        self.type("home: stop the origin")
        if not self._clean():
            self.type("home: start the origin once, to recover from its crash")
        if self.type("home: rejoin with a rewind") and contender.follows(machine, port):
            return True
        self.type("home: clone the origin anew", mind=True)
        return contender.follows(machine, port)

    def _clean(self) -> bool:
        version, cluster = self.pair.origin.version, self.pair.origin.cluster
        asked = f"/usr/lib/postgresql/{version}/bin/pg_controldata", "-D"
        there = f"/var/lib/postgresql/{version}/{cluster}"
        said = self.pair.origin.machine.run(*asked, there, user="postgres", check=False).stdout
        return any(
            line.startswith("Database cluster state:") and "shut down" in line
            for line in said.splitlines()
        )

    def notices(self) -> bool:
        return not self.type("check")

    def repair(self) -> None:
        self.type("repair: clone the standby anew", mind=True)


class RepmgrDaemon(Repmgr):
    """The same with its daemon, which promotes without being told."""

    name = f"repmgr {package.VERSION} with repmgrd"
    plays: tuple[str, ...] = ("power loss", "partition")

    def install(self) -> None:
        super().install()
        self.type("repmgrd: configure")

    def failover(self) -> None:
        """Nobody says anything; stopping the copies of files is still somebody's work."""
        try:
            wait_until(
                lambda: contender.recovery_role(self.pair) == "f", "promoted", PROMOTED_SECONDS
            )
        except TimeoutError:
            self.said.append(f"repmgrd did not promote within {PROMOTED_SECONDS} s")
        self.type("stop the copies")
