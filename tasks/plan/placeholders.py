"""What the pages by hand call both ends: names, addresses, paths and whole commands."""

import shlex
from pathlib import PurePosixPath

from blocks.instance import OdooInstance, Place
from tasks.filestore import trust
from tasks.host import files, layout
from tasks.logins import login
from tasks.postgres import commands
from tasks.postgres.look import Seen
from tasks.recovery import door
from tasks.serving import dns
from tasks.standby import clone


def names(instance: OdooInstance, origin: Seen | None, recovery: Seen) -> dict[str, str]:
    """Everything that a person would have to look up to do it by hand; no secrets."""
    directory = _directory(instance.origin, origin)
    beside = clone.beside(directory)
    # At the origin it stands in the home of Debian's postgres, which is the same on every host.
    passfile = files.home(instance.recovery.host.shell(), "postgres") / ".pgpass"
    own_passfile = layout.passfile(instance, instance.recovery)
    to_recovery = _conninfo(instance.recovery, instance.replication.user, passfile)
    source = (
        _conninfo(instance.recovery, instance.replication.rewind_user, passfile)
        + f" dbname={login.REWIND_DATABASE}"
    )
    cluster = instance.origin.cluster
    as_owner = ("runuser", "-u", cluster.owner, "--")
    backup = commands.base_backup(
        cluster, directory=beside, conninfo=to_recovery, slot=instance.name
    )
    return {
        **places(instance, origin, recovery),
        "to_recovery": to_recovery,
        "to_origin": _conninfo(instance.origin, instance.replication.user, own_passfile),
        "rewind": shlex.join(
            (*as_owner, *commands.rewind(cluster, directory=directory, source=source))
        ),
        "recover_offline": shlex.join((*as_owner, *commands.recover_offline(cluster, directory))),
        "base_backup": shlex.join((*as_owner, *backup)),
    }


def places(instance: OdooInstance, origin: Seen | None, recovery: Seen | None) -> dict[str, str]:
    """What both ends are called; that much is known without asking the recovery host."""
    ends = {
        f"{end.kind}{suffix}": value
        for end, seen in ((instance.origin, origin), (instance.recovery, recovery))
        for suffix, value in _end(instance, end, seen).items()
    }
    return {
        "instance": instance.name,
        "writable": str(trust.until_path(instance)),
        "recovery_rsh": shlex.join(trust.rsh(instance)),
        "open_door": door.by_hand(instance, opened=True),
        "close_door": door.by_hand(instance, opened=False),
        "domains": ", ".join(instance.domains),
        "dns": instance.dns.provider if instance.dns else "",
        **ends,
    }


def _directory(place: Place, seen: Seen | None) -> PurePosixPath:
    if seen is not None:
        return seen.directory
    return PurePosixPath("/var/lib/postgresql", str(place.cluster.version), place.cluster.name)


def _end(instance: OdooInstance, place: Place, seen: Seen | None) -> dict[str, str]:
    return {
        "": str(place),
        "_address": place.host.peer_address,
        "_shown": dns.addresses(instance, place),
        "_unit": place.odoo.unit,
        "_user": place.odoo.user,
        "_data_dir": str(place.odoo.data_dir),
        "_http_port": str(place.odoo.http_port),
        "_cluster": str(place.cluster),
        "_cluster_unit": place.cluster.unit,
        "_cluster_words": f"{place.cluster.version} {place.cluster.name}",
        "_config": str(place.cluster.config_dir),
        "_owner": place.cluster.owner,
        "_ctl": f"runuser -u {place.cluster.owner} -- pg_ctlcluster --skip-systemctl-redirect "
        f"{place.cluster.version} {place.cluster.name}",
        # Whose the configuration is: the cluster's own user's, or root's where it is confined.
        "_configured": "" if place.cluster.confined else f"runuser -u {place.cluster.owner} -- ",
        "_bin": str(place.cluster.bin_dir),
        "_directory": shlex.quote(str(_directory(place, seen))),
    }


def _conninfo(leader: Place, user: str, passfile: PurePosixPath) -> str:
    """How to reach a leader; the password stands in the password file of either host."""
    return (
        f"host={leader.host.peer_address} port={leader.cluster.port} user={user} sslmode=require "
        f"passfile={passfile}"
    )
