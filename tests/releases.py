"""What Relevo says to PostgreSQL of a release: its settings, by name."""

from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import SecretStr

from blocks import pinned
from blocks.cluster import Cluster
from blocks.host import Host
from blocks.instance import OdooInstance, Place, Replication
from blocks.odoo import Odoo
from tasks.postgres import cluster_settings, commands, postgresql_conf
from tasks.programs.divergence import cluster as divergence
from tasks.readiness import drill_commands
from tasks.recovery import confinement

RELEASES = range(12, 20)
FOLDER = PurePosixPath("/data")
KINDS: tuple[Literal["origin", "recovery"], ...] = ("origin", "recovery")
SECRET = SecretStr("x")


def instance(version: int) -> OdooInstance:
    """An instance on that release, at both ends."""
    host = Host(name="uno", address="192.0.2.1", peer_address="192.0.2.1")
    origin, recovery = (
        Place(kind=kind, host=host, cluster=Cluster(version=version), odoo=Odoo()) for kind in KINDS
    )
    return OdooInstance(
        name="vps_1", origin=origin, recovery=recovery, directory=PurePosixPath("/srv/vps_1"),
        replication=Replication(password=SECRET, rewind_password=SECRET), signing_key=SECRET,
    )  # fmt: skip


def settings(version: int) -> set[str]:
    """Name all that is set in a file, on a command line or as a session begins."""
    made = instance(version)
    cluster, zeroes = made.recovery.cluster, dict.fromkeys(cluster_settings.CURRENT, "0")
    written = postgresql_conf.replication(
        version=version, keep_mb=1, cap_mb=1, current=zeroes, listen="192.0.2.1"
    )
    config = {
        "bin": "/x",
        "config_file": "/x",
        "directory": "/data",
        "port": 5432,
        "version": version,
    }
    _, environment = divergence.psql(config, Path("/x"), "shop", "postgres", {})
    words = (
        *drill_commands.serve(cluster, FOLDER), *commands.recover_offline(cluster, FOLDER),
        *environment["PGOPTIONS"].split(),
    )  # fmt: skip
    return {
        *written, *postgresql_conf.HOT_STANDBY, *confinement.settings(made),
        *pinned.settings(version=version, superuser=True, writes=True, seconds=60),
        *divergence.settings(config, Path("/x")),
        *(word.partition("=")[0] for word in words if "=" in word),
    }  # fmt: skip
