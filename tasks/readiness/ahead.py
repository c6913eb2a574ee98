"""What a set-up would be refused for later, asked before its first change."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from blocks.errors import Refused, RelevoError
from blocks.instance import OdooInstance
from tasks.host import files
from tasks.logins import roles
from tasks.odoo import customers, service
from tasks.postgres import cluster_settings
from tasks.postgres.look import listening
from tasks.readiness.parity import EXTENSIONS
from tasks.recovery import users
from tasks.run.step import step
from tasks.standby import clone, replica

# What of our settings a reload does not bring into force.
RESTARTED = (
    "wal_level", "wal_log_hints", "hot_standby", "listen_addresses", "max_wal_senders",
    "max_replication_slots",
)  # fmt: skip
EXTENSION = re.compile(r"[A-Za-z0-9_-]{1,63}")


@step("check ahead what {instance.name} would be refused for later")
def require(instance: OdooInstance) -> None:
    """Refuse a set-up before it changes anything, and with all that speaks against it."""
    replica.require_primary(instance.origin)
    found = [error for ask in ASKED if (error := _refusal(ask, instance))]
    if found:
        raise Refused(
            "; ".join(error.message for error in found),
            hint="; ".join(dict.fromkeys(error.hint for error in found if error.hint))
            + "; nothing was changed, so run this again",
        )


def _refusal(ask: Callable[[OdooInstance], None], instance: OdooInstance) -> RelevoError | None:
    try:
        ask(instance)
    except Refused as error:
        return error
    return None


def _is_new(instance: OdooInstance) -> bool:
    """Tell whether the recovery host has no cluster of this instance, and maybe no user either."""
    recovery = instance.recovery
    conf = recovery.cluster.config_dir / "postgresql.conf"
    return not files.exists(recovery.host.shell(), conf)


def _included(instance: OdooInstance) -> None:
    cluster_settings.require_included(instance.origin)
    if not _is_new(instance):
        cluster_settings.require_included(users.as_found(instance).recovery)


def _ssl(instance: OdooInstance) -> None:
    cluster_settings.require_ssl(instance.origin)


def _name(instance: OdooInstance) -> None:
    roles.require_one_name(instance, instance.origin)


def _roles(instance: OdooInstance) -> None:
    for role in roles.wanted(instance):
        roles.require_ours(instance, instance.origin, role, roles.find(instance.origin, role))


def _locales(instance: OdooInstance) -> None:
    replica.refuse_lacking_locales(instance)


def _tablespaces(instance: OdooInstance) -> None:
    clone.require_no_tablespaces(instance.origin)


def _room(instance: OdooInstance) -> None:
    """Ask for the room of a first clone, which lies in Debian's folder."""
    recovery = instance.recovery
    if _is_new(instance):
        folder = PurePosixPath("/var/lib/postgresql")
        clone.require_room(recovery, instance.origin, folder)


def _extensions(instance: OdooInstance) -> None:
    """Refuse databases whose extensions the recovery host has not installed."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    said = customers.each(customers.databases(instance.origin), EXTENSIONS).rows
    uses: dict[str, list[str]] = {}
    for database, rows in said.items():
        for row in rows:
            if EXTENSION.fullmatch(name := str(row["name"])):
                uses.setdefault(name, []).append(database)
    folder = PurePosixPath(f"/usr/share/postgresql/{recovery.cluster.version}/extension")
    lacking = files.missing(shell, *(folder / f"{name}.control" for name in sorted(uses)))
    if names := [PurePosixPath(path).stem for path in lacking]:
        each = "; ".join(f"{', '.join(uses[name])} uses {name}" for name in names if name in uses)
        raise Refused(
            f"{recovery} lacks extensions that databases of {instance.origin} use: {each}",
            hint=f"install the packages of these extensions on {recovery}",
        )


def _http_port(instance: OdooInstance) -> None:
    service.require_free_port(instance.recovery.host.shell(), instance)


def _postgres_port(instance: OdooInstance) -> None:
    """Refuse a port of the recovery host that somebody else listens on."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    if _is_new(instance) and listening(shell, recovery.cluster.port):
        raise Refused(
            f"port {recovery.cluster.port} on {recovery} is taken by something else",
            hint=f"give {instance.name} another recovery.postgres_port in the inventory, and "
            "apply it",
        )


def _restart(instance: OdooInstance) -> None:
    """Refuse a restart that would bring in what somebody else has prepared for another day."""
    origin = instance.origin
    current = cluster_settings.in_force(origin, (*RESTARTED, *cluster_settings.CURRENT))
    wanted = cluster_settings.wanted(instance, origin, current)
    ours = [name for name in RESTARTED if str(wanted[name]) != current[name]]
    theirs = [name for name in cluster_settings.waiting_for_restart(origin) if name not in wanted]
    if ours and theirs:
        raise cluster_settings.refuse_restart(origin, ours, theirs)


ASKED = (
    _included, _ssl, _restart, _name, _roles, _locales, _tablespaces, _room, _extensions,
    _http_port, _postgres_port,
)  # fmt: skip
