"""The clusters as they are. Who is primary is asked here, never read from a saved block."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks import pinned
from blocks.answers import understood
from blocks.errors import Refused, Unreachable
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


NOBODY = "-"  # the directory is not there
RECEIVED = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS received"
HISTORY = "SELECT pg_read_file($1, 0, 1000000, true)"
# Asked in one go: the way to a host costs more than any of the answers. A cluster that answers says
# by itself that it is the right one; Debian's list is a Perl script, and slow. Where a confined one
# keeps its data is read in its configuration, which is root's: whoever has the cluster's user could
# have it answer with any folder, and root moves and deletes beside it.
LOOK = """
set -f
version=$1 name=$2 port=$3 bin=$4 owner=$5 sockets=$6 options=$7 confined=$8
conf=/etc/postgresql/$version/$name/postgresql.conf
[ -e "$conf" ] && id "$owner" >/dev/null 2>&1 || exit 0
as_owner() {
    runuser -u "$owner" -- env PGCONNECT_TIMEOUT=10 PGHOST="$sockets" PGUSER=postgres \\
        PGDATABASE=postgres "PGOPTIONS=$options" "$@" 2>/dev/null
}
set -- $(as_owner "$bin/psql" -p "$port" -XqAtF' ' -c "SELECT pg_is_in_recovery(), \
    current_setting('config_file'), current_setting('data_directory')")
if [ "$2" = "$conf" ]; then
    role=$1 directory=$3 status=online
else
    all=$(runuser -u "$owner" -- pg_lsclusters --no-header) || exit $?
    line=$(printf '%s\\n' "$all" | grep -E "^$version +$name ") || exit 0
    set -- $line
    role=unknown port=$3 status=$4 directory=$6
fi
if [ "$confined" = yes ]; then
    directory=$(sed -n "s/^data_directory *= *'\\([^']*\\)'.*/\\1/p" "$conf" | tail -n 1)
fi
echo "$port $status $role $directory $(stat -Lc %U "$directory" 2>/dev/null || echo -)"
as_owner "$bin/pg_controldata" -D "$directory" || exit 0
"""


def find(shell: Shell, place: Place) -> lsclusters.Listed | None:
    """Find the cluster in pg_lsclusters, which reads what its customers may have written there."""
    said = shell.run(postgres.list_clusters(), user=place.cluster.owner).stdout
    listed = lsclusters.parse(said)
    wanted = (place.cluster.version, place.cluster.name)
    return next((each for each in listed if (each.version, each.name) == wanted), None)


def look(place: Place) -> Seen:
    """Look at a cluster; raise Refused when there is none."""
    cluster = place.cluster
    words = (
        str(cluster.version), cluster.name, str(cluster.port), str(cluster.bin_dir),
        cluster.owner, str(cluster.sockets), pinned.superuser(cluster.version),
        "yes" if cluster.confined else "no",
    )  # fmt: skip
    said = place.host.shell().run(("sh", "-c", LOOK, "look", *words)).stdout
    line, _, control = said.partition("\n")
    if not line:
        raise Refused(f"there is no cluster {cluster} on {place}", hint=_missing_hint(place))
    with understood(f"what pg_lsclusters on {place} says of {cluster}"):
        port, status, role, directory, *owners = line.split()
        number, owner = int(port), "".join(owners) or NOBODY
    if number != cluster.port:
        raise Refused(
            f"cluster {cluster} on {place} has port {port}, not {cluster.port}",
            hint="correct the port in the inventory and apply it",
        )
    if owner not in {cluster.owner, NOBODY}:
        raise Refused(
            f"the data directory {directory} of {cluster} on {place} belongs to {owner}, not to "
            f"{cluster.owner}",
            hint="run replicate, which puts that right on the recovery host; at an origin, see "
            "SHOW data_directory there",
        )
    return Seen(
        place=place,
        directory=PurePosixPath(directory),
        online=status.startswith("online"),
        answers=role != "unknown",
        in_recovery=role == "t",
        control=_control(control, place) if control else None,
    )


def _control(said: str, place: Place) -> ControlData:
    with understood(f"what pg_controldata says on {place}"):
        return controldata.parse(said)


def _missing_hint(place: Place) -> str:
    if place.kind == "recovery":
        return "run replicate (or basebackup) for this instance"
    return "compare postgres.version and postgres.name in the inventory with pg_lsclusters there"


def read_control(shell: Shell, place: Place, directory: PurePosixPath) -> ControlData | None:
    """Read pg_control; none when there is no cluster in the directory."""
    argv = postgres.control_data(place.cluster, directory)
    done = shell.run(argv, user=place.cluster.owner, check=False)
    return _control(done.stdout, place) if done.status == 0 else None


def try_look(place: Place) -> Seen | None:
    """Look at a cluster whose host may be dead; none when it does not answer."""
    try:
        return look(place)
    except Unreachable:
        return None


def leader(place: Place) -> Leader:
    """What a node must know of the primary that it is to follow."""
    shell, cluster = place.host.shell(), place.cluster
    row = cluster.query(
        shell,
        "SELECT pg_current_wal_lsn() AS position, pg_walfile_name(pg_current_wal_lsn()) AS segment,"
        " system_identifier::text FROM pg_control_system()",
    )[0]
    timeline = history.of_segment(str(row["segment"]))
    name = history.file_name(timeline)
    text = cluster.value(shell, HISTORY, f"pg_wal/{name}")
    return Leader(
        system_identifier=str(row["system_identifier"]),
        timeline=timeline,
        forks=history.forks(text),
        position=Lsn.parse(str(row["position"])),
    )


def received(place: Place) -> Lsn:
    """How far a running standby has come: what it received, or replayed from its own WAL."""
    said = place.cluster.value(place.host.shell(), RECEIVED)
    return Lsn.parse(said or "0/0")


def replayed(place: Place) -> Lsn:
    """How far a running standby shows what it received."""
    said = place.cluster.value(place.host.shell(), "SELECT pg_last_wal_replay_lsn()")
    return Lsn.parse(said or "0/0")
