"""Command lines of a drill: a clone of the standby, and an Odoo that nobody can reach."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks.cluster import Cluster
from tasks.host import confine
from tasks.postgres.commands import Argv

# Whoever has a network could send mail. The files are seen through a layer that keeps what is
# written, and vanishes with the unit. The folder is held (by cd) before it is judged: a link that
# its owner puts in its place later, leads nobody anywhere. Into the folder of the customer's Odoo,
# and to its environment, only who has given root up goes: a loader would run what stands there.
VIEW = """
set -e
if tail -n +2 /proc/net/route | grep -q . || grep -qsv ' lo$' /proc/net/ipv6_route; then
    echo "there is a network here (see PrivateNetwork= of systemd): no rehearsal is safe" >&2
    exit 1
fi
data=$1 layer=$2 user=$3 folder=$4 variables=$5
shift 5
cd "$data"
if [ "$(stat -c %U .)" != "$user" ]; then
    echo "$data belongs to $(stat -c %U .), not to $user, who must not read other instances" >&2
    exit 1
fi
mkdir -p "$layer/upper" "$layer/work" "$layer/data" "$layer/home"
chown --reference=. "$layer/upper" "$layer/home"
mount -t overlay overlay -o "lowerdir=.,upperdir=$layer/upper,workdir=$layer/work" "$layer/data"
cd /
[ -e "$variables" ] || variables=/dev/null
exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --inh-caps=-all \\
    --bounding-set=-all --no-new-privs -- sh -c '
        cd "$1" && shift && set -a && eval "$(cat)" && exec env "$@" </dev/null
    ' as-user "$folder" HOME="$layer/home" "$@" <"$variables"
"""
# A drill whose run was killed ends by itself; the next one clears its clone away.
AT_MOST_SECONDS = 3600
NO_STATISTICS = 15  # the release that keeps no statistics in files while it runs
# Nothing here may slow down the standby, or a real failover.
GENTLY = ("nice", "-n", "19", "ionice", "-c", "3")
LOW = ("Nice=19", "IOSchedulingClass=idle")


def clone(cluster: Cluster, directory: PurePosixPath) -> Argv:
    """Copy a running standby into an empty directory beside it."""
    return (
        *GENTLY, str(cluster.bin_dir / "pg_basebackup"), "--no-password",
        "--host", str(cluster.sockets), "--port", str(cluster.port), "--username=postgres",
        "--pgdata", str(directory), "--wal-method=stream",
        "--checkpoint=fast", "--progress",
    )  # fmt: skip


def serve(cluster: Cluster, directory: PurePosixPath) -> Argv:
    """Run a clone with the standby's own configuration, on a socket and with no port.

    >>> "port=65432" in serve(Cluster(version=13, port=65432), PurePosixPath("/clone"))
    True
    """
    settings = {
        "config_file": cluster.config_dir / "postgresql.conf",
        "data_directory": directory,
        "port": cluster.port,
        "listen_addresses": "",
        "external_pid_file": "",
        "cluster_name": "relevo_drill",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "restore_command": "",
        "synchronous_standby_names": "",
        "archive_mode": "off",
        "logging_collector": "off",
        "shared_buffers": "64MB",
        **({"stats_temp_directory": "pg_stat_tmp"} if cluster.version < NO_STATISTICS else {}),
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return (str(cluster.bin_dir / "postgres"), "-D", str(directory), *options)


def odoo(
    command: Sequence[str], *, port: int, data_dir: PurePosixPath, workers: bool = False
) -> Argv:
    """Run Odoo as its unit does, on another cluster and other files, with no crons.

    One worker is as good as many, and starts the process of the live chat as they do.
    """
    return (
        *command, "--db_port", str(port), "--data-dir", str(data_dir),
        "--workers", str(int(workers)), "--max-cron-threads", "0",
    )  # fmt: skip


def view(
    *,
    data: PurePosixPath,
    layer: PurePosixPath,
    user: str,
    folder: PurePosixPath | None,
    variables: PurePosixPath,
    command: Sequence[str],
) -> Argv:
    words = (str(data), str(layer), user, str(folder or "/"), str(variables))
    return ("sh", "-c", VIEW, "view", *words, *command)


def try_unit(command: Sequence[str], *properties: str) -> Argv:
    """Run a command to its end as a unit of a drill is run."""
    return (
        "systemd-run", "--quiet", "--pipe", "--wait", "--collect",
        "--property=WorkingDirectory=/", "--property=RuntimeMaxSec=60",
        *confine.options((*LOW, *properties)), "--", *command,
    )  # fmt: skip


def start_unit(unit: str, command: Sequence[str], *properties: str, user: str = "root") -> Argv:
    """Run a command as a unit of its own.

    A unit that names root as its user loses CAP_SETUID to its system call filter (systemd 257).

    >>> [word for word in start_unit("a.service", ("id",)) if word.startswith("--uid")]
    []
    """
    become = () if user == "root" else (f"--uid={user}",)
    return (
        "systemd-run", "--quiet", "--collect", f"--unit={unit}", *become,
        "--property=WorkingDirectory=/", f"--property=RuntimeMaxSec={AT_MOST_SECONDS}",
        *confine.options((*LOW, *properties)), "--", *command,
    )  # fmt: skip
