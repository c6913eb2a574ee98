"""The clusters as they are. Who is primary is asked here, never read from a saved block."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import Place
from blocks.shell import Shell
from tasks.argv import postgres
from tasks.read import controldata, history, lsclusters
from tasks.read.controldata import ControlData
from tasks.read.lsn import Lsn
from tasks.read.rejoin import Leader


@dataclass(frozen=True)
class Seen:
    """One cluster, at one moment."""

    place: Place
    directory: PurePosixPath
    online: bool
    answers: bool
    in_recovery: bool
    control: ControlData | None

    @property
    def is_primary(self) -> bool:
        """It accepts writes now."""
        return self.answers and not self.in_recovery

    @property
    def is_standby(self) -> bool:
        return self.answers and self.in_recovery

    def __str__(self) -> str:
        if self.answers:
            return "standby" if self.in_recovery else "primary"
        return "starting" if self.online else "down"


def find(shell: Shell, place: Place) -> lsclusters.Listed | None:
    """Find the cluster in pg_lsclusters."""
    listed = lsclusters.parse(shell.run(postgres.list_clusters()).stdout)
    wanted = (place.cluster.version, place.cluster.name)
    return next((each for each in listed if (each.version, each.name) == wanted), None)


def look(place: Place) -> Seen:
    """Look at a cluster; raise Refused when there is none."""
    shell = place.host.shell()
    listed = find(shell, place)
    if listed is None:
        raise Refused(
            f"there is no cluster {place.cluster} on {place}",
            hint=_missing_hint(place),
        )
    if listed.port != place.cluster.port:
        raise Refused(
            f"cluster {place.cluster} on {place} has port {listed.port}, not {place.cluster.port}",
            hint="correct the port in the inventory and apply it",
        )
    answer = _in_recovery(shell, place) if listed.online else ""
    control = read_control(shell, place, listed.data_directory)
    return Seen(
        place=place,
        directory=listed.data_directory,
        online=listed.online,
        answers=bool(answer),
        in_recovery=answer == "t",
        control=control,
    )


def _missing_hint(place: Place) -> str:
    if place.kind == "recovery":
        return "run replicate (or basebackup) for this instance"
    return "compare postgres.version and postgres.cluster in the inventory with pg_lsclusters there"


def _in_recovery(shell: Shell, place: Place) -> str:
    """Ask a cluster for its role; the empty string when it does not answer (yet)."""
    try:
        return place.cluster.value(shell, "SELECT pg_is_in_recovery()")
    except CommandFailed:
        return ""


def read_control(shell: Shell, place: Place, directory: PurePosixPath) -> ControlData | None:
    """Read pg_control; none when there is no cluster in the directory."""
    argv = postgres.control_data(place.cluster, directory)
    done = shell.run(argv, user="postgres", check=False)
    return controldata.parse(done.stdout) if done.status == 0 else None


def try_look(place: Place) -> Seen | None:
    """Look at a cluster whose host may be dead; none when it does not answer."""
    try:
        return look(place)
    except Unreachable:
        return None


def leader(place: Place) -> Leader:
    """What a node must know of the primary that it is to follow."""
    shell, cluster = place.host.shell(), place.cluster
    position = cluster.value(shell, "SELECT pg_current_wal_lsn()")
    timeline = history.of_segment(
        cluster.value(shell, f"SELECT pg_walfile_name('{position}'::pg_lsn)")
    )
    name = history.file_name(timeline)
    text = cluster.value(shell, f"SELECT pg_read_file('pg_wal/{name}', 0, 1000000, true)")
    return Leader(
        system_identifier=cluster.value(shell, "SELECT system_identifier FROM pg_control_system()"),
        timeline=timeline,
        forks=history.forks(text),
        position=Lsn.parse(position),
    )


def received(place: Place) -> Lsn:
    """How far a running standby has come: what it received, or replayed from its own WAL."""
    sql = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    return Lsn.parse(place.cluster.value(place.host.shell(), sql) or "0/0")


def odoo_databases(place: Place) -> list[str]:
    """The databases of a cluster that are Odoo's: those with a table of modules."""
    shell, cluster = place.host.shell(), place.cluster
    rows = cluster.query(
        shell, "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
    )
    names = sorted(str(row["datname"]) for row in rows)
    is_odoo = "SELECT to_regclass('public.ir_module_module') IS NOT NULL"
    return [name for name in names if cluster.value(shell, is_odoo, database=name) == "t"]
