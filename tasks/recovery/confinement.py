"""The cluster of an instance on the recovery host, confined to what is its own.

Its processes belong to a user of its own; systemd lets them write in its data directory and its
socket's folder alone, and speak to its origin alone. Its configuration is root's.
"""

import re
from pathlib import PurePosixPath

from blocks import users
from blocks.errors import RelevoError
from blocks.instance import OdooInstance, Place
from tasks.host import confine, files, layout, managed_block, systemd_unit
from tasks.install.programs import UNITS
from tasks.odoo import odoo_conf
from tasks.postgres import cluster, hba, postgresql_conf
from tasks.postgres.lsclusters import Listed
from tasks.postgres.observe import find
from tasks.run.step import log
from tasks.standby import rejoin, replication

CONF = "relevo_users.conf"  # read after relevo.conf, whose listen_addresses of Relevo 0.1 it beats
LOG = PurePosixPath("/var/log/postgresql")
TMPFILES = PurePosixPath("/etc/tmpfiles.d")
STATISTICS_IN_FILES = 14  # the last release that keeps statistics in files while it runs
DAYS = 3650
CERTIFICATE = """
set -e
[ -s "$1/server.crt" ] && [ -s "$1/server.key" ] && exit 0
umask 077
openssl req -x509 -newkey rsa:2048 -nodes -days "$3" -subj "/CN=$2" \\
    -keyout "$1/server.key.new" -out "$1/server.crt.new" 2>/dev/null
sync "$1/server.key.new" "$1/server.crt.new"
mv "$1/server.key.new" "$1/server.key"
mv "$1/server.crt.new" "$1/server.crt"
sync "$1"
"""
# Debian's pg_ctlcluster logs in to the cluster that it has started under its user's name, which is
# no role there: it would try for five seconds.
ENVIRONMENT = "PGUSER = 'postgres'"
# The folder is root's, and so are all that are made in it.
READABLE = 'chown "root:$1" "$2" "$3" && chmod 640 "$2" "$3"'


def settings(instance: OdooInstance) -> postgresql_conf.Settings:
    """What the cluster on the recovery host has otherwise than Debian's."""
    own, found = layout.postgres(instance), instance.recovery.cluster
    chosen: dict[str, str | int] = {
        "external_pid_file": str(found.sockets / "postmaster.pid"),
        "listen_addresses": "localhost",
        "ssl": "on",
        "ssl_cert_file": str(own / "server.crt"),
        "ssl_key_file": str(own / "server.key"),
        "unix_socket_directories": str(found.sockets),
    }
    if found.version <= STATISTICS_IN_FILES:
        chosen["stats_temp_directory"] = str(found.sockets / "pg_stat_tmp")
    return chosen


def settle(instance: OdooInstance, *, former: str) -> None:
    """Give the cluster its socket's folder, its certificate, its settings and its unit's limits.

    One of a former user is given to its own first, and started anew; a gift that was cut off is
    taken up again.
    """
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    listed = find(shell, recovery)
    if listed is None or not recovery.cluster.confined:
        return
    if former == recovery.cluster.owner:
        _install(instance, listed.data_directory, former=former)
    else:
        _give(instance, listed, former)


def _give(instance: OdooInstance, listed: Listed, former: str) -> None:
    """Give a cluster to its own user; its data directory last, by which the next run knows."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    owner, directory = recovery.cluster.owner, listed.data_directory
    if listed.owner == former:
        log().info("stopping the standby on %s, to start it as %s", recovery, owner)
        cluster.stop_any(_of(instance, former))
    for path in _beside(instance, directory):
        files.give_tree(shell, path, former=former, user=owner)
    files.give_tree(shell, _log_file(recovery), former=former, user=owner)
    _install(instance, directory, former=former)
    files.give_tree(shell, directory, former=former, user=owner)
    role = odoo_conf.database_role(files.read(shell, recovery.odoo.config), default="")
    hba.admit(instance, recovery, instance.origin, odoo_role=role)
    if files.exists(shell, directory / "standby.signal"):
        rejoin.write_signals(instance, recovery, instance.origin, directory)
        cluster.start(recovery)
        _wait_for_stream(instance)


def _beside(instance: OdooInstance, directory: PurePosixPath) -> list[PurePosixPath]:
    """What was kept aside of a data directory, and what is being made in its place."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    argv = (
        "find", str(directory.parent), "-maxdepth", "1", "-name", f"{directory.name}.*", "-print0",
    )  # fmt: skip
    ours = re.compile(re.escape(str(directory)) + r"\.[A-Za-z0-9_.-]+")
    found = shell.run(argv, user=recovery.cluster.owner).stdout.split("\0")
    return [PurePosixPath(path) for path in found if ours.fullmatch(path)]


def _log_file(place: Place) -> PurePosixPath:
    return LOG / f"postgresql-{place.cluster.version}-{place.cluster.name}.log"


def _wait_for_stream(instance: OdooInstance) -> None:
    """Give the standby time to find its origin again, if that answers."""
    try:
        replication.wait_until_streaming(instance, instance.recovery, instance.origin)
    except RelevoError as error:
        log().warning("%s", error.message)


def _of(instance: OdooInstance, owner: str) -> Place:
    """The same cluster, as it is while it belongs to another user."""
    place, sockets = instance.recovery, users.sockets(instance.name, owner)
    update = {"owner": owner, "sockets": sockets}
    return place.model_copy(update={"cluster": place.cluster.model_copy(update=update)})


def _install(instance: OdooInstance, directory: PurePosixPath, *, former: str) -> None:
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    owner, config = recovery.cluster.owner, recovery.cluster.config_dir
    group = files.owner(shell, owner).split(":")[1]
    _prepare_boots(instance)
    folder = layout.postgres(instance)
    name = f"relevo-{instance.name.replace('_', '-')}"
    shell.run(("sh", "-c", CERTIFICATE, "certificate", str(folder), name, str(DAYS)))
    paths = (str(folder / "server.key"), str(folder / "server.crt"))
    shell.run(("sh", "-c", READABLE, "readable", group, *paths))
    # Debian gives a cluster's configuration to its owner; the customer could write it here.
    files.give_tree(shell, config, former=former, user="root")
    files.install(shell, config / "conf.d" / CONF, postgresql_conf.render(settings(instance)))
    files.edit(
        shell,
        config / "environment",
        lambda text: managed_block.put(text, name=instance.name, lines=ENVIRONMENT),
        owner="root:root",
        mode="644",
    )
    found = confine.properties(
        writes=(directory, recovery.cluster.sockets, LOG),
        peers=(instance.origin.host.peer_address,),
        hidden=(layout.home(instance),),
    )
    drop_in = systemd_unit.cluster_drop_in(
        user=owner,
        pid_file=recovery.cluster.sockets / "postmaster.pid",
        properties=(*found, *confine.only_port(recovery.cluster.port)),
    )
    files.install(shell, UNITS / f"{recovery.cluster.unit}.d" / "relevo-users.conf", drop_in)
    shell.run(("systemctl", "daemon-reload"))


def _prepare_boots(instance: OdooInstance) -> None:
    """Let systemd make at every boot what the cluster's user may not: its socket's folder, its log.

    Nobody but this instance's users may enter the folder.
    """
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    group = files.owner(shell, recovery.odoo.user).split(":")[1]
    path = TMPFILES / f"relevo-{instance.name}.conf"
    found = recovery.cluster
    text = systemd_unit.at_boot(found.sockets, _log_file(recovery), found.owner, group)
    files.install(shell, path, text)
    shell.run(("systemd-tmpfiles", "--create", str(path)))
