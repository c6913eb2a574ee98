"""What a set-up would be refused for later, asked before its first change."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.logins import roles
from tasks.odoo import customers, service
from tasks.postgres import cluster_settings, hba
from tasks.postgres.observe import holder, listening
from tasks.readiness import probes
from tasks.readiness.compatibility import EXTENSIONS
from tasks.readiness.probes import Need, SetUp
from tasks.recovery import allotted, users
from tasks.run.step import step
from tasks.standby import clone, replica

# What of our settings a reload does not bring into force.
RESTARTED = (
    "wal_level", "wal_log_hints", "hot_standby", "listen_addresses", "max_wal_senders",
    "max_replication_slots",
)  # fmt: skip
PORTS = (
    "ports at the recovery", "HTTP port at the recovery", "PostgreSQL port at the recovery",
)  # fmt: skip
EXTENSION = re.compile(r"[A-Za-z0-9_-]{1,63}")


@step("check now all that could make {instance.name} fail later")
def require(instance: OdooInstance, *, allow_restart: bool = True) -> None:
    """Refuse a set-up before it changes anything, and with all that speaks against it."""
    _require(instance, (*_of_the_origin(allow_restart=allow_restart), *OF_BOTH))


@step("check now all that could make {instance.name} fail under another name")
def require_but(instance: OdooInstance, others: Mapping[str, Need], *, allow_restart: bool) -> None:
    """Ask all of a set-up, some of it in another way: what is there goes before."""
    needs = (*_of_the_origin(allow_restart=allow_restart), *OF_BOTH)
    _require(instance, [others.get(each.name, each) for each in needs])


@step("require that {instance.origin} can be set up as primary")
def require_origin(instance: OdooInstance, *, allow_restart: bool) -> None:
    """Refuse the set-up of a primary before it changes anything."""
    _require(instance, _of_the_origin(allow_restart=allow_restart))


@step("require that {instance.recovery} may be cloned to")
def require_clone(instance: OdooInstance, *, reclone: bool) -> None:
    """Refuse a clone before anything is changed for it."""
    _require(instance, (LOCALES, replace(CLONE, ask=partial(_clone, reclone=reclone))))


def _of_the_origin(*, allow_restart: bool) -> tuple[Need, ...]:
    return (replace(RESTART, ask=partial(_restart, allow_restart=allow_restart)), *OF_THE_ORIGIN)


def _require(instance: OdooInstance, needs: Sequence[Need]) -> None:
    _leads(instance)
    if found := probes.refusals(needs, instance):
        raise Refused(
            "; ".join(error.message for error in found),
            hint="; ".join(dict.fromkeys(error.hint for error in found if error.hint))
            + "; nothing was changed, so run this again",
        )


def is_new(instance: OdooInstance) -> bool:
    """Tell whether the recovery host has no cluster of this instance, and maybe no user either."""
    recovery = instance.recovery
    conf = recovery.cluster.config_dir / "postgresql.conf"
    return not files.exists(recovery.host.shell(), conf)


def _leads(instance: OdooInstance) -> str:
    replica.require_primary(instance.origin)
    return f"PostgreSQL on {instance.origin} accepts writes"


def _included(instance: OdooInstance) -> str:
    cluster_settings.require_included(instance.origin)
    if not is_new(instance):
        cluster_settings.require_included(users.as_found(instance).recovery)
    return "it reads conf.d"


def _access(instance: OdooInstance) -> str:
    hba.require_usual(instance.origin)
    return f"those of {instance.origin.cluster.config_dir}"


def _ssl(instance: OdooInstance) -> str:
    cluster_settings.require_ssl(instance.origin)
    return f"{instance.origin} offers TLS"


def _name(instance: OdooInstance) -> str:
    roles.require_one_name(instance, instance.origin)
    return f"no other instance uses {instance.origin.cluster}"


def _roles(instance: OdooInstance) -> str:
    for role in roles.wanted(instance):
        roles.require_ours(instance, instance.origin, role, roles.find(instance.origin, role))
    return "their names are free, or ours"


def _locales(instance: OdooInstance) -> str:
    replica.refuse_lacking_locales(instance)
    return f"{instance.recovery} has those of the databases"


def _tablespaces(instance: OdooInstance) -> str:
    clone.require_no_tablespaces(instance.origin)
    return "none"


def _room(instance: OdooInstance) -> str:
    """Ask for the room of a first clone, which lies in Debian's folder."""
    clone.require_room(instance.recovery, instance.origin, PurePosixPath("/var/lib/postgresql"))
    return "there is room for a clone"


def _extensions_in_use(origin: Place) -> dict[str, list[str]]:
    """Name each extension, with the databases that use it."""
    uses: dict[str, list[str]] = {}
    for database, rows in customers.each(customers.databases(origin), EXTENSIONS).rows.items():
        for row in rows:
            if EXTENSION.fullmatch(name := str(row["name"])):
                uses.setdefault(name, []).append(database)
    return uses


def _extensions(instance: OdooInstance) -> str:
    """Refuse databases whose extensions the recovery host has not installed."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    uses = _extensions_in_use(instance.origin)
    folder = PurePosixPath(f"/usr/share/postgresql/{recovery.cluster.version}/extension")
    lacking = files.missing(shell, *(folder / f"{name}.control" for name in sorted(uses)))
    if names := [PurePosixPath(path).stem for path in lacking]:
        each = "; ".join(f"{', '.join(uses[name])} uses {name}" for name in names if name in uses)
        raise Refused(
            f"{recovery} lacks extensions that databases of {instance.origin} use: {each}",
            hint=f"install the packages of these extensions on {recovery}",
        )
    return f"{recovery} has those of the databases"


def _libraries(instance: OdooInstance) -> str:
    replica.refuse_lacking_libraries(instance)
    return f"{instance.recovery} has those of the origin"


def _http_port(instance: OdooInstance) -> str:
    service.require_free_port(instance.recovery.host.shell(), instance)
    return f"{instance.recovery.odoo.http_port} is free, or ours"


def _ports(instance: OdooInstance) -> str:
    return allotted.require_free(instance)


def _postgres_port(instance: OdooInstance) -> str:
    """Refuse a port of the recovery host that somebody else listens on."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    if is_new(instance) and listening(shell, recovery.cluster.port):
        raise Refused(
            f"port {recovery.cluster.port} on {recovery} is taken by another program: "
            f"{holder(shell, recovery.cluster.port)}",
            hint=f"give {instance.name} another recovery.postgres_port in the inventory, and "
            "apply it",
        )
    return f"{recovery.cluster.port} is free, or ours"


def _restart(instance: OdooInstance, *, allow_restart: bool = True) -> str:
    """Refuse a restart that nobody has allowed, or that brings in what somebody else prepared."""
    origin = instance.origin
    current = cluster_settings.in_force(origin, (*RESTARTED, *cluster_settings.CURRENT))
    wanted = cluster_settings.wanted(instance, origin, current)
    ours = [name for name in RESTARTED if str(wanted[name]) != current[name]]
    theirs = [name for name in cluster_settings.waiting_for_restart(origin) if name not in wanted]
    cluster_settings.require_restart(origin, ours, theirs, allowed=allow_restart)
    return f"set-up restarts it for {', '.join(ours)}" if ours else "none is needed"


def _overridden(instance: OdooInstance) -> str:
    """Refuse settings that another file would override, before ours is there."""
    cluster_settings.require_the_last_word(instance, instance.origin)
    return "no other file overrides ours"


def _clone(instance: OdooInstance, *, reclone: bool = False) -> str:
    """Refuse a clone that has no room, or would replace what may be the last copy."""
    if is_new(instance):
        return _room(instance)
    replica.require_clonable(users.as_found(instance), reclone=reclone)
    return f"{instance.recovery} follows, or may be cloned to"


RESTART = SetUp(
    "restart of the origin", _restart, tried="settings that wait for a restart are asked for",
    remedy="apply these settings with a restart, or undo them", when=probes.primary,
)  # fmt: skip
LOCALES = SetUp(
    "locales", _locales, tried="each locale of a database is looked for on the recovery host",
    remedy="generate it there", when=probes.primary,
)  # fmt: skip
CLONE = SetUp(
    "clone", _clone, tried="the databases are measured, and the free space; the recovery host is "
    "asked whether its cluster is a copy of the origin's",
    remedy="free space on the recovery host", when=probes.primary,
)  # fmt: skip
OF_THE_ORIGIN: tuple[Need, ...] = (
    SetUp(
        "included settings", _included,
        tried="postgresql.conf is searched for the line that includes conf.d",
        remedy="add that line there", when=probes.primary,
    ),
    SetUp(
        "files of access", _access, tried="PostgreSQL is asked for its hba_file and ident_file",
        remedy="move them to its folder in /etc/postgresql", when=probes.primary,
    ),
    SetUp(
        "TLS at the origin", _ssl, tried="PostgreSQL is asked whether it offers TLS",
        remedy="switch ssl on there", when=probes.primary,
    ),
    SetUp(
        "settings of others", _overridden,
        tried="PostgreSQL is asked which files set what replication needs",
        remedy="take these settings out of that file", when=probes.primary,
    ),
    SetUp(
        "name of the instance", _name,
        tried="pg_hba.conf is searched for another instance of this cluster",
        remedy="name it in the inventory as before", when=probes.primary,
    ),
    SetUp(
        "roles of the origin", _roles, tried="the names of Relevo's roles are looked for",
        remedy="name others under replication", when=probes.primary,
    ),
)  # fmt: skip
OF_BOTH: tuple[Need, ...] = (
    LOCALES,
    SetUp(
        "tablespaces", _tablespaces, tried="the origin is asked for tablespaces",
        remedy="move their tables into the data directory", when=probes.primary,
    ),
    CLONE,
    SetUp(
        "extensions", _extensions,
        tried="each extension of a database is looked for on the recovery host",
        remedy="install its package there", when=probes.primary,
    ),
    SetUp(
        "libraries", _libraries,
        tried="each library that the origin's PostgreSQL loads is looked for on the recovery host",
        remedy="install its package there", when=probes.primary,
    ),
    SetUp(
        PORTS[0], _ports, tried="its list of the ports of all instances is read",
        remedy="give the instance other ports, or leave them out and run relevo apply",
        hosts="recovery",
    ),
    SetUp(
        PORTS[1], _http_port, tried="it is asked what listens there",
        remedy="give the instance another recovery.http_port", hosts="recovery",
    ),
    SetUp(
        PORTS[2], _postgres_port, tried="it is asked what listens there",
        remedy="give the instance another recovery.postgres_port", hosts="recovery",
    ),
)  # fmt: skip
# What a set-up will be refused for; the first is asked alone, since the others ask that cluster.
NEEDS: tuple[Need, ...] = (
    SetUp(
        "PostgreSQL of the origin", _leads,
        tried="its PostgreSQL is asked whether it accepts writes",
        remedy="start it there, or run failback",
    ),
    RESTART, *OF_THE_ORIGIN, *OF_BOTH,
)  # fmt: skip
