"""What the pages by hand call both ends: names, addresses, paths and whole commands.

All of it is known without asking the origin, and stays true until somebody changes the inventory.
Where a cluster has its data, and where a home is, the commands of the pages ask on the host.
"""

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks.instance import OdooInstance, Place
from tasks.filestore import key
from tasks.host import layout, managed_block
from tasks.logins import certificate, login, pgpass
from tasks.postgres import auto_conf, commands, pg_hba, postgresql_conf
from tasks.recovery import door
from tasks.serving import dns

# What Debian's clusters begin with, where nobody can be asked.
FRESH = {
    "wal_level": "replica",
    "listen_addresses": "localhost",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "wal_keep_size": "0",
    "wal_keep_segments": "0",
    "max_slot_wal_keep_size": "-1",
}
FIRST_WITH_MANIFESTS = 13  # the release that added backup manifests


def names(instance: OdooInstance) -> dict[str, str]:
    """Everything that a person would have to look up to do it by hand; no secrets."""
    origin, recovery = instance.origin, instance.recovery
    roles = instance.replication
    return {
        "instance": instance.name,
        "writable": str(key.until_path(instance)),
        "recovery_rsh": shlex.join(key.rsh(instance)),
        "open_door": door.by_hand(instance, opened=True),
        "close_door": door.by_hand(instance, opened=False),
        "domains": ", ".join(instance.domains),
        "dns": instance.dns.provider if instance.dns else "",
        "replication_user": roles.user,
        "to_recovery": _conninfo(instance, recovery, roles.user),
        "to_origin": _conninfo(instance, origin, roles.user),
        "origin_passfile": _passfile(origin),
        "recovery_passfile": _own_passfile(instance),
        "own_passwords": shlex.quote(_own_passwords(instance)),
        **_of_the_origins_cluster(instance),
        **{
            f"{end.kind}{suffix}": value
            for end in (origin, recovery)
            for suffix, value in _end(instance, end).items()
        },
    }


def _of_the_origins_cluster(instance: OdooInstance) -> dict[str, str]:
    """The commands that make the origin's cluster anew, or bring it back."""
    found, roles = instance.origin.cluster, instance.replication
    data, new = PurePosixPath("$data"), PurePosixPath("$new")
    to_recovery = _conninfo(instance, instance.recovery, roles.user)
    source = _conninfo(instance, instance.recovery, roles.rewind_user)
    backup = commands.base_backup(found, directory=new, conninfo=to_recovery, slot=instance.name)
    rewind = commands.rewind(
        found, directory=data, source=f"{source} dbname={login.REWIND_DATABASE}"
    )
    verify = (str(found.bin_dir / "pg_verifybackup"), "--no-parse-wal", "-q", "$new")
    owner = ("runuser", "-u", found.owner, "--")
    verified = found.version >= FIRST_WITH_MANIFESTS
    return {
        "base_backup": typed(backup),
        "verify_backup": typed((*owner, *verify)) if verified else "true",
        "rewind": typed((*owner, *rewind)),
        "recover_offline": typed((*owner, *commands.recover_offline(found, data))),
        "create_cluster": typed(commands.create_cluster(found)),
        "foreign_settings": shlex.quote(_foreign()),
        "origin_settings": shlex.join(_settings(instance)),
        "origin_hba": shlex.join(_admits(instance)),
    }


def typed(argv: Sequence[str]) -> str:
    """Write a command as a person types it, with the shell's variables left to the shell.

    >>> typed(("cp", "-a", "$data/a", "a b"))
    'cp -a "$data/a" "a b"'
    """
    return " ".join(f'"{word}"' if set(word) & set(" $") else word for word in argv)


def _own_passfile(instance: OdooInstance) -> str:
    confined = instance.recovery.cluster.confined
    own = str(layout.postgres(instance) / "pgpass")
    return own if confined else _passfile(instance.recovery)


def _passfile(place: Place) -> str:
    """The password file in the home of a cluster's user, for which the host is asked."""
    return f"{_home(place)}/.pgpass"


def _home(place: Place) -> str:
    return f"$(getent passwd {place.cluster.owner} | cut -d: -f6)"


def _own_passwords(instance: OdooInstance) -> str:
    """An expression of sed's: of the recovery host's password file, make the origin's lines.

    Both sides log in as the same two roles.
    """
    theirs, own = (
        f"{pgpass.escape(place.host.peer_address)}:{place.cluster.port}:".replace("\\", "\\\\")
        for place in (instance.origin, instance.recovery)
    )
    return f"s/^{theirs.replace('.', '[.]')}/{own}/p"


def _foreign() -> str:
    """An expression of sed's that takes out what a copy has of its leader's machine."""
    named = "|".join((*auto_conf.OURS, *auto_conf.MACHINE))
    kinds = "command|provider|_file|_director|_dir|_path|librar"
    return f"/^({named}) *=/d; /^include/d; /^[A-Za-z0-9_.]*({kinds})[A-Za-z0-9_]* *=/d"


def _settings(instance: OdooInstance) -> list[str]:
    """The lines with which a new cluster at the origin can be followed, once it leads."""
    origin, roles = instance.origin, instance.replication
    wanted = postgresql_conf.replication(
        version=origin.cluster.version, keep_mb=roles.wal_keep_mb, cap_mb=roles.slot_cap_mb,
        current=FRESH, listen=origin.host.peer_address,
    )  # fmt: skip
    return postgresql_conf.render(wanted).splitlines()


def _admits(instance: OdooInstance) -> list[str]:
    """The words of sed's that put our block first in the origin's pg_hba.conf."""
    roles, peer = instance.replication, instance.recovery.host.peer_address
    lines = pg_hba.replication(user=roles.user, rewind_user=roles.rewind_user, peer=peer)
    made = managed_block.put("", name=instance.name, lines=lines).splitlines()
    return [word for line in made for word in ("-e", f"1i {line}")]


def _end(instance: OdooInstance, place: Place) -> dict[str, str]:
    host, cluster, odoo = place.host, place.cluster, place.odoo
    words = f"{cluster.version} {cluster.name}"
    return {
        "": str(place),
        "_address": host.peer_address,
        "_login": f"ssh -p {host.port} {host.user}@{host.address}",
        "_shown": dns.addresses(instance, place),
        "_unit": odoo.unit,
        "_user": odoo.user,
        "_odoo_config": str(odoo.config),
        "_data_dir": str(odoo.data_dir),
        "_http_port": str(odoo.http_port),
        "_cluster": str(cluster),
        "_cluster_unit": cluster.unit,
        "_cluster_words": words,
        "_version": str(cluster.version),
        "_config": str(cluster.config_dir),
        "_owner": cluster.owner,
        "_ctl": f"runuser -u {cluster.owner} -- pg_ctlcluster --skip-systemctl-redirect {words}",
        # Whose the configuration is: the cluster's own user's, or root's where it is confined.
        "_configured": "" if cluster.confined else f"runuser -u {cluster.owner} -- ",
        "_bin": str(cluster.bin_dir),
    }


def _conninfo(instance: OdooInstance, leader: Place, user: str) -> str:
    """How the other host reaches a leader; the password stands in the password file of either."""
    node = instance.opposite(leader)
    passfile = _passfile(node) if node.kind == "origin" else _own_passfile(instance)
    return (
        f"host={leader.host.peer_address} port={leader.cluster.port} user={user} "
        f"{_tls(instance, node, leader)} passfile={passfile}"
    )


def _tls(instance: OdooInstance, node: Place, leader: Place) -> str:
    """Demand the leader's own certificate, where Relevo has pinned it: the shell looks."""
    name = certificate.file_name(instance, leader)
    confined = node.cluster.confined
    pinned = layout.postgres(instance) / name if confined else f"{_home(node)}/.postgresql/{name}"
    known = f"test -e {pinned} && echo verify-ca sslrootcert={pinned}"
    return f"sslmode=$({known} || echo require)"
