"""The clusters as they are. Who is primary is asked here, never read from a saved block."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks import pinned
from blocks.answers import understood
from blocks.errors import Refused, ShutOut, Unreachable
from blocks.instance import Place
from blocks.plain import plain
from blocks.shell import Shell
from tasks.host import files, together
from tasks.postgres import commands, controldata, lsclusters, wal
from tasks.postgres.controldata import ControlData
from tasks.postgres.wal import Leader, Lsn

LET_US_ASK = "add to its pg_hba.conf the line: local all postgres peer"


@dataclass(frozen=True)
class ClusterState:
    """One cluster, at one moment.

    `message` is what it answers instead of an answer; `gone` is one whose host has it no more.
    """

    place: Place
    directory: PurePosixPath
    online: bool
    answers: bool
    in_recovery: bool
    control: ControlData | None
    message: str = ""
    gone: bool = False

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
        if self.gone:
            return "gone"
        if self.refuses:
            return f"up, but refuses our login ({self.message})"
        return "starting" if self.online else "down"

    @property
    def refuses(self) -> bool:
        """It runs and does not let us ask; one that starts or stops says so itself."""
        on_its_way = any(words in self.message for words in ON_ITS_WAY)
        return self.online and not self.answers and bool(self.message) and not on_its_way

    def require_asked(self) -> None:
        """Refuse to go on with a cluster that runs and does not let us ask."""
        if self.refuses:
            raise Refused(
                f"PostgreSQL {self.place.cluster} on {self.place} is {self}",
                hint=f"{LET_US_ASK} (above its other lines that begin with local), and reload it",
            )


class NoCluster(Refused):
    """A host answers, and has no such cluster: nobody listens in its place either."""


# PostgreSQL's own words in the language C (postmaster.c), and libpq's where there is no socket yet.
# A server speaks the language of its lc_messages; so LOOK says the first of them by what stands in
# the last line of postmaster.pid.
ON_ITS_WAY = ("the database system is ", "No such file", "Connection refused", "not yet accepting")
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
mark=$9 said=
conf=/etc/postgresql/$version/$name/postgresql.conf
[ -e "$conf" ] && id "$owner" >/dev/null 2>&1 || exit 0
as_owner() {
    runuser -u "$owner" -- env PGCONNECT_TIMEOUT=10 PGHOST="$sockets" PGUSER=postgres \\
        PGDATABASE=postgres "PGOPTIONS=$options" "$@"
}
set -- $(as_owner "$bin/psql" -p "$port" -XqAtwF' ' -c "SELECT pg_is_in_recovery(), \
    current_setting('config_file'), current_setting('data_directory')" 2>/dev/null)
if [ "$2" = "$conf" ]; then
    role=$1 directory=$3 status=online
else
    [ -x "$bin/postgres" ] || { echo lost; exit 0; }
    command -v pg_lsclusters >/dev/null || exit 0
    all=$(runuser -u "$owner" -- pg_lsclusters --no-header) || exit $?
    line=$(printf '%s\\n' "$all" | grep -E "^$version +$name ") || exit 0
    set -- $line
    role=unknown port=$3 status=$4 directory=$6
    case $status in online*)
        said=$(as_owner "$bin/psql" -p "$port" -XqAtw -c "SELECT" 2>&1 >/dev/null | tr '\\n' ' ')
        is=$(as_owner sed -n 8p "$directory/postmaster.pid" 2>/dev/null | tr -d ' ')
        case $is in starting|stopping) said="the database system is $is: $said" ;; esac ;;
    esac
fi
if [ "$confined" = yes ]; then
    directory=$(sed -n "s/^data_directory *= *'\\([^']*\\)'.*/\\1/p" "$conf" | tail -n 1)
fi
echo "$port $status $role $directory $(stat -Lc %U "$directory" 2>/dev/null || echo -)"
as_owner "$bin/pg_controldata" -D "$directory" 2>/dev/null
[ -z "$said" ] || printf '%s%.500s\\n' "$mark" "$said"
exit 0
"""
SAID, LOST = "psql said: ", "lost"
# Argument: a port. Says what listens there, over TCP or at a socket.
HOLDER = re.compile(r'\(\("([^"]+)",pid=(\d+)')
LISTENS = 'ss -Hltn "sport = :$1"; ss -Hlx | grep -F ".s.PGSQL.$1 " || true'


def find(shell: Shell, place: Place) -> lsclusters.Listed | None:
    """Find the cluster in pg_lsclusters, which reads what its customers may have written there."""
    output = shell.run(commands.list_clusters(), user=place.cluster.owner).stdout
    listed = lsclusters.parse(output)
    wanted = (place.cluster.version, place.cluster.name)
    return next((each for each in listed if (each.version, each.name) == wanted), None)


def looking(place: Place) -> tuple[str, ...]:
    """The command that looks at a cluster."""
    cluster = place.cluster
    words = (
        str(cluster.version), cluster.name, str(cluster.port), str(cluster.bin_dir),
        cluster.owner, str(cluster.sockets), pinned.superuser(cluster.version),
        "yes" if cluster.confined else "no", SAID,
    )  # fmt: skip
    return ("sh", "-c", LOOK, "look", *words)


def observe(place: Place) -> ClusterState:
    """Look at a cluster; raise Refused when there is none."""
    cluster = place.cluster
    output = together.ask(place.host.shell(), looking(place)).stdout
    line, _, control = output.partition("\n")
    if line in {"", LOST}:
        raise _missing(place, programs=not line)
    control, _, refusal = control.partition(SAID)
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
            hint="run replicate, which corrects that on the recovery host; at an origin, run SHOW "
            "data_directory there",
        )
    return ClusterState(
        place=place,
        directory=PurePosixPath(directory),
        online=status.startswith("online"),
        answers=role != "unknown",
        in_recovery=role == "t",
        control=_control(control, place) if control else None,
        message=plain(" ".join(refusal.split()), longest=500),
    )


def _control(output: str, place: Place) -> ControlData:
    with understood(f"what pg_controldata says on {place}"):
        return controldata.parse(output)


def listening(shell: Shell, port: int) -> bool:
    """Tell whether something listens on a port of PostgreSQL's, over TCP or at a socket."""
    return bool(shell.run(("sh", "-c", LISTENS, "listens", str(port))).stdout.strip())


def holder(shell: Shell, port: int) -> str:
    """Name the program that listens on a port, and its process."""
    found = HOLDER.search(shell.run(("ss", "-Hltn", "-p", f"sport = :{port}"), check=False).stdout)
    return f"{plain(found[1])} ({found[2]})" if found else "?"


def _missing(place: Place, *, programs: bool) -> Refused:
    """Say that there is no such cluster, or nothing to run it; or that it runs all the same."""
    cluster, shell = place.cluster, place.host.shell()
    sentence, hint = f"there is no cluster {cluster} on {place}", _missing_hint(place)
    if not programs:
        sentence, hint = _without_programs(place)
    if not listening(shell, cluster.port):
        return NoCluster(sentence, hint=hint)
    return Refused(f"{sentence}, and something listens on its port {cluster.port}", hint=hint)


def _without_programs(place: Place) -> tuple[str, str]:
    version = place.cluster.version
    hint = (
        f"install postgresql-{version} on {place} (from PostgreSQL's own repository where its "
        f"system has another release), then run systemctl start {place.cluster.unit} there"
    )
    return f"{place} has no PostgreSQL {version} any more, which runs {place.cluster}", hint


def _missing_hint(place: Place) -> str:
    version, name = place.cluster.version, place.cluster.name
    if place.kind == "recovery":
        return "run replicate (or basebackup) for this instance"
    return (
        "compare postgres.version and postgres.name in the inventory with pg_lsclusters there; "
        f"where the cluster was lost, make an empty one (pg_createcluster {version} {name}), and "
        "run failback with reclone once the recovery host serves"
    )


def require_programs(place: Place) -> None:
    """Refuse a host that has lost PostgreSQL's programs: a cluster that runs would not again."""
    if files.missing(place.host.shell(), place.cluster.bin_dir / "postgres"):
        sentence, hint = _without_programs(place)
        raise Refused(sentence, hint=hint)


def read_control(shell: Shell, place: Place, directory: PurePosixPath) -> ControlData | None:
    """Read pg_control; none when there is no cluster in the directory."""
    argv = commands.control_data(place.cluster, directory)
    done = shell.run(argv, user=place.cluster.owner, check=False)
    return _control(done.stdout, place) if done.status == 0 else None


def observe_if_there(place: Place) -> ClusterState:
    """Look at a cluster that may be lost while its host is well: that is down, and stays down."""
    try:
        return observe(place)
    except NoCluster:
        version, name = str(place.cluster.version), place.cluster.name
        return ClusterState(
            place=place, directory=PurePosixPath("/var/lib/postgresql", version, name),
            online=False, answers=False, in_recovery=False, control=None, gone=True,
        )  # fmt: skip


def observe_if_reachable(place: Place) -> ClusterState | None:
    """Look at a cluster whose host may be dead; none when it does not answer."""
    return observe_or_why(place)[0]


def observe_or_why(place: Place) -> tuple[ClusterState | None, ShutOut | None]:
    """The same, and why a host that is not silent cannot be asked."""
    try:
        return observe_if_there(place), None
    except ShutOut as error:
        return None, error
    except Unreachable:
        return None, None


def unheard(place: Place, why: ShutOut | None) -> str:
    """Say of a host that it is silent, or what keeps us from asking it."""
    return f"{why.message}; {why.hint}" if why else f"{place} does not answer"


def observe_leader(place: Place) -> Leader:
    """What a node must know of the primary that it is to follow."""
    shell, cluster = place.host.shell(), place.cluster
    row = cluster.query(
        shell,
        "SELECT pg_current_wal_lsn() AS position, pg_walfile_name(pg_current_wal_lsn()) AS segment,"
        " system_identifier::text FROM pg_control_system()",
    )[0]
    timeline = wal.of_segment(str(row["segment"]))
    name = wal.file_name(timeline)
    text = cluster.value(shell, HISTORY, f"pg_wal/{name}")
    return Leader(
        system_identifier=str(row["system_identifier"]),
        timeline=timeline,
        forks=wal.forks(text),
        position=Lsn.parse(str(row["position"])),
    )


def received(place: Place) -> Lsn:
    """How far a running standby has come: what it received, or replayed from its own WAL."""
    position = place.cluster.value(place.host.shell(), RECEIVED)
    return Lsn.parse(position or "0/0")


def replayed(place: Place) -> Lsn:
    """How far a running standby shows what it received."""
    position = place.cluster.value(place.host.shell(), "SELECT pg_last_wal_replay_lsn()")
    return Lsn.parse(position or "0/0")
