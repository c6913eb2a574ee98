"""Command lines of PostgreSQL and of Debian's tools around it."""

from pathlib import PurePosixPath

from blocks.cluster import Cluster

Argv = tuple[str, ...]


def list_clusters() -> Argv:
    return ("pg_lsclusters", "--no-header")


def create_cluster(cluster: Cluster) -> Argv:
    """
    >>> " ".join(create_cluster(Cluster(version=13, name="vps_1", port=5433)))
    'pg_createcluster --port=5433 --user=postgres --start-conf=manual 13 vps_1'
    """
    return (
        "pg_createcluster", f"--port={cluster.port}", f"--user={cluster.owner}",
        "--start-conf=manual",
        str(cluster.version), cluster.name,
    )  # fmt: skip


def control_data(cluster: Cluster, directory: PurePosixPath) -> Argv:
    return (str(cluster.bin_dir / "pg_controldata"), "-D", str(directory))


def control(cluster: Cluster, directory: PurePosixPath, verb: str, *options: str) -> Argv:
    """Promote or stop a cluster; run it as the owner of the data directory.

    Debian's pg_ctlcluster reads files there with the rights of whoever runs it, and a line in
    postgresql.auto.conf can name a program: as root it would be the customer's way to root.

    >>> " ".join(control(Cluster(version=13), PurePosixPath("/data"), "promote"))
    '/usr/lib/postgresql/13/bin/pg_ctl -D /data -s promote'
    """
    return (str(cluster.bin_dir / "pg_ctl"), "-D", str(directory), "-s", verb, *options)


def base_backup(
    cluster: Cluster, *, directory: PurePosixPath, conninfo: str, slot: str, packed: bool = False
) -> Argv:
    """Copy a running cluster into an empty directory, WAL included.

    `packed` has the server compress what it sends, which PostgreSQL 15 and later can.

    >>> packed = base_backup(Cluster(version=15), directory=PurePosixPath("/data"), conninfo="",
    ...     slot="s", packed=True)
    >>> packed[-1]
    '--compress=server-zstd:1'
    """
    return (
        str(cluster.bin_dir / "pg_basebackup"), "--no-password", "--dbname", conninfo,
        "--pgdata", str(directory), "--wal-method=stream", "--checkpoint=fast",
        "--slot", slot, "--progress", "--verbose",
        *(("--compress=server-zstd:1",) if packed else ()),
    )  # fmt: skip


def rewind(cluster: Cluster, *, directory: PurePosixPath, source: str) -> Argv:
    """Take back what a stopped cluster wrote after the fork."""
    return (
        str(cluster.bin_dir / "pg_rewind"), "--target-pgdata", str(directory),
        "--source-server", source, "--progress",
    )  # fmt: skip


def recover_offline(cluster: Cluster, directory: PurePosixPath) -> Argv:
    """Do crash recovery with no door open to anybody, and stop cleanly.

    pg_rewind does the same, but does not find Debian's configuration before PostgreSQL 15. Up to
    14, Debian's statistics go to a folder that only pg_ctlcluster makes after a boot.

    >>> "stats_temp_directory=pg_stat_tmp" in recover_offline(Cluster(version=13), PurePosixPath())
    True
    """
    own = () if cluster.version >= 15 else ("-c", "stats_temp_directory=pg_stat_tmp")  # noqa: PLR2004
    return (
        str(cluster.bin_dir / "postgres"), "--single", "-D", str(directory), "-c",
        f"config_file={cluster.config_dir / 'postgresql.conf'}", *own, "template1",
    )  # fmt: skip
