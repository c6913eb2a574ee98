"""An origin is left as it was before: each step finds by looking what is still there of ours.

PostgreSQL and Odoo go on meanwhile. The guard goes last, and its receipts after it: as long as it
is there the recovery host answers it, and without it a boot asks nobody.
"""

import re
from pathlib import PurePosixPath

from blocks.errors import Refused, StatementFailed
from blocks.instance import OdooInstance
from blocks.sql import Identifier, compose
from tasks.authority import guard
from tasks.filestore import key
from tasks.host import files, managed_block
from tasks.host.files import STATE
from tasks.host.job import LOGS
from tasks.install import traces
from tasks.install.programs import LIBRARY, UNITS
from tasks.logins import certificate, login, pgpass, roles
from tasks.logins.roles import Found, Role
from tasks.postgres import cluster_settings, hba
from tasks.run.step import log, step
from tasks.run.wait import until
from tasks.standby import clone

END_SECONDS = 30
SLOTS = """
SELECT slot_name, active FROM pg_replication_slots
WHERE slot_name = ANY($1::text[]) AND slot_type = 'physical'
"""
END = """
SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
WHERE slot_name = ANY($1::text[]) AND active_pid IS NOT NULL
"""
DROP_SLOT = "SELECT pg_drop_replication_slot($1)"
FOLLOWS = """
SELECT count(*) FROM pg_settings WHERE name = 'primary_slot_name' AND setting = $1
"""
SOMEBODY = """
SELECT count(*) FROM pg_stat_activity
WHERE usename = $1 AND client_addr IS DISTINCT FROM $2::inet
"""
TAKE_BACK = """
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean),
    pg_catalog.pg_stat_file(text, boolean), pg_catalog.pg_read_binary_file(text),
    pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) FROM {role}
"""
DROP_ROLE = "DROP ROLE {role}"
DEPENDENT = "2BP01"
# Where a role owns something, or may use it: databases themselves, and what is in them.
WHERE = """
SELECT DISTINCT coalesce(inside.datname, itself.datname, 'postgres') AS name
FROM pg_shdepend AS s
JOIN pg_roles AS r ON r.oid = s.refobjid AND s.refclassid = 'pg_authid'::regclass
LEFT JOIN pg_database AS inside ON inside.oid = s.dbid
LEFT JOIN pg_database AS itself ON itself.oid = s.objid AND s.classid = 'pg_database'::regclass
WHERE r.rolname = $1 ORDER BY 1
"""


@step("drop the slots of {instance.name} at {instance.origin}")
def drop_slots(instance: OdooInstance) -> None:
    """Let go of the WAL that nobody will fetch any more; end whoever still reads there."""
    shell, leader = instance.origin.host.shell(), instance.origin.cluster
    names = [instance.name, clone.slot(instance)]

    def ended() -> bool:
        leader.execute(shell, END, names)
        return not any(row["active"] for row in leader.query(shell, SLOTS, names))

    until(
        ended, what=f"nobody reads from the slots of {instance.name}", timeout_seconds=END_SECONDS
    )
    for row in leader.query(shell, SLOTS, names):
        leader.execute(shell, DROP_SLOT, str(row["slot_name"]))


@step("drop the roles of {instance.name} at {instance.origin}")
def drop_roles(instance: OdooInstance) -> None:
    """Drop the two roles; one that somebody else has made, or uses, stays and is named."""
    for role in roles.wanted(instance):
        if (found := roles.find(instance.origin, role)) is None:
            continue
        if why := _why_kept(instance, role, found):
            log().warning("the role %s at %s stays: %s", role.name, instance.origin, why)
        else:
            _drop(instance, role)


def _why_kept(instance: OdooInstance, role: Role, found: Found) -> str:
    origin, shell = instance.origin, instance.origin.host.shell()
    try:
        roles.require_ours(instance, origin, role, found)
    except Refused as error:
        return error.message
    hba = files.read(shell, origin.cluster.config_dir / "pg_hba.conf")
    if role.name in names_of(managed_block.without(hba, name=instance.name)):
        return "another line of pg_hba.conf admits it"
    somebody = (role.name, instance.recovery.host.peer_address)
    if int(origin.cluster.value(shell, SOMEBODY, *somebody) or 0):
        return "somebody else is logged in with it"
    return ""


def names_of(hba: str) -> set[str]:
    r"""Name the users of the lines of a pg_hba.conf.

    >>> sorted(names_of('# a b c\nhost all one,two 10.0.0.1/32 md5\nlocal all "x" peer\n\n'))
    ['one', 'two', 'x']
    """
    lines = (line.split("#")[0].split() for line in hba.splitlines())
    users = (words[2] for words in lines if len(words) > 2)  # noqa: PLR2004
    return {name.strip('"') for each in users for name in each.split(",")}


def _drop(instance: OdooInstance, role: Role) -> None:
    origin, shell = instance.origin, instance.origin.host.shell()
    name = Identifier(role.name)
    try:
        origin.cluster.execute(shell, compose(TAKE_BACK, role=name))
        origin.cluster.execute(shell, compose(DROP_ROLE, role=name))
    except StatementFailed as error:
        if error.sqlstate != DEPENDENT:
            raise
        found = origin.cluster.query(shell, WHERE, role.name)
        where = ", ".join(str(row["name"]) for row in found)
        raise Refused(
            f"the role {role.name} at {origin} owns or may use more than Relevo has given it, in "
            f"{where}",
            hint=f"run REASSIGN OWNED BY {role.name} TO postgres and DROP OWNED BY {role.name} in "
            "each of these databases, then run this again",
        ) from error


@step("remove {instance.name} from the settings of PostgreSQL at {instance.origin}")
def forget_settings(instance: OdooInstance) -> list[str]:
    """Take our settings, lines and passwords away, without a restart; name what waits for one."""
    origin, shell = instance.origin, instance.origin.host.shell()
    wanted = set(
        cluster_settings.wanted(
            instance, origin, cluster_settings.in_force(origin, cluster_settings.CURRENT)
        )
    )
    if reset(instance):
        wanted |= {"primary_conninfo", "primary_slot_name"}
    files.remove(shell, cluster_settings.path(origin.cluster))
    hba.edit(origin, lambda text: managed_block.without(text, name=instance.name))
    cluster_settings.reload(shell, origin)
    _forget_passwords(instance)
    return [name for name in cluster_settings.waiting_for_restart(origin) if name in wanted]


def reset(instance: OdooInstance) -> bool:
    """Forget whom the origin followed, which a failback has left; tell whether it did."""
    shell, found = instance.origin.host.shell(), instance.origin.cluster
    if found.value(shell, FOLLOWS, instance.name) != "1":
        return False
    # The slot last: by it a run that was cut off in between knows that both are ours.
    found.execute(shell, "ALTER SYSTEM RESET primary_conninfo")
    found.execute(shell, "ALTER SYSTEM RESET primary_slot_name")
    return True


def _forget_passwords(instance: OdooInstance) -> None:
    origin, recovery = instance.origin, instance.recovery
    shell, owner = origin.host.shell(), origin.cluster.owner
    path = files.home(shell, owner) / ".pgpass"
    starts = f"{pgpass.escape(recovery.host.peer_address)}:{recovery.cluster.port}:"
    if text := files.read(shell, path):
        if pgpass.without(text, starts):
            login.forget_lines(shell, path, starts, user=owner)
        else:
            files.remove(shell, path)
    pinned = certificate.path(instance, origin, recovery)
    files.remove(shell, pinned)
    _forget_empty(instance, pinned.parent, owner)


def _forget_empty(instance: OdooInstance, folder: PurePosixPath, user: str) -> None:
    """Take a folder away that holds nothing, asked as the user that it belongs to."""
    shell = instance.origin.host.shell()
    argv = ("find", str(folder), "-maxdepth", "0", "-type", "d", "-empty")
    if files.exists(shell, folder) and shell.run(argv, user=user).stdout:
        files.remove_tree(shell, folder)


@step("close the way of {instance.recovery} to the files of {instance.origin}")
def shut_way(instance: OdooInstance) -> None:
    """Admit the key of the recovery host no more, and take its gate away."""
    origin, shell = instance.origin, instance.origin.host.shell()
    traces.forget_admission(shell, origin.host.user, instance.name)
    files.remove(shell, key.gate_path(instance), key.until_path(instance))
    _forget_empty(instance, key.file_quarantine(instance), origin.odoo.user)


@step("remove the guard of {instance.name} at {instance.origin}")
def drop_guard(instance: OdooInstance) -> None:
    """Let PostgreSQL and Odoo start unasked; systemd hears of it before the program goes."""
    origin, shell = instance.origin, instance.origin.host.shell()
    watcher = guard.watcher_unit(instance)
    if files.exists(shell, UNITS / watcher):
        shell.run(("systemctl", "disable", "--now", watcher))
    folders = [UNITS / f"{unit}.d" for unit in (origin.cluster.unit, origin.odoo.unit)]
    drop_ins = [
        folder / name for folder in folders for name in ("relevo.conf", "relevo-start.conf")
    ]
    files.remove(shell, UNITS / watcher, *drop_ins)
    traces.forget_empty(shell, folders)
    shell.run(("systemctl", "daemon-reload"))
    _require_free(instance)
    files.remove_tree(shell, guard.folder(instance))
    files.remove(shell, traces.RUN / f"{instance.name}.waiting")


def _require_free(instance: OdooInstance) -> None:
    """Refuse to take the program away while a start still asks it: that would hold customers."""
    origin, shell = instance.origin, instance.origin.host.shell()
    for unit in (origin.cluster.unit, origin.odoo.unit):
        argv = ("systemctl", "show", unit, "--property=ExecCondition,ExecStartPre")
        if str(LIBRARY) in shell.run(argv).stdout:
            raise Refused(
                f"{unit} at {origin} still asks the guard before it starts",
                hint=f"find the line with systemctl cat {unit} there, remove it, and run this "
                "again",
            )


@step("forget {instance.name} at {instance.origin}")
def forget(instance: OdooInstance) -> None:
    """Take receipts, pages and logs away; programs and folders go with the host's last instance."""
    origin, shell = instance.origin, instance.origin.host.shell()
    files.remove_tree(shell, STATE / instance.name)
    name, own = re.escape(instance.name), re.escape(origin.cluster.name)
    traces.forget_logs(shell, LOGS, rf"{name}-[a-z-]+\.log|{own}-quarantine\.log")
    traces.leave(shell, instance.name)
