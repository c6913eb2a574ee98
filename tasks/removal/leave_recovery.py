"""The recovery host is left as it was before: other instances there notice nothing.

What answers the origin's guard (the newest receipt, and the key that may ask) goes after the guard
itself: see `answer_no_more`.
"""

import re

from blocks import users
from blocks.errors import CommandFailed
from blocks.instance import OdooInstance
from tasks.archive import archive, left, place
from tasks.filestore import engine
from tasks.host import files, job
from tasks.host.files import STATE
from tasks.host.job import LOGS
from tasks.install import traces
from tasks.install.programs import UNITS
from tasks.postgres import cluster
from tasks.postgres.observe import observe
from tasks.readiness import aside
from tasks.recovery import allotted, confinement, door
from tasks.run.outcome import Outcome
from tasks.run.step import log, step
from tasks.serving import site

STOP_SECONDS = 300
TMPFILES = confinement.TMPFILES
# A user goes when none of its processes is left: what carries our questions is one.
DROP = """
for user; do
    getent passwd "$user" >/dev/null || continue
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        pkill -KILL -u "$user" || break
        sleep 0.2
    done
    userdel "$user" || exit 1
done
"""


@step("stop what runs for {instance.name} on {instance.recovery}")
def stop(instance: OdooInstance, *, heir: str = "", delete_kept: bool = False) -> Outcome:
    """Stop Odoo, copies, follower and door, and take their units away; at last the site.

    Tell whether nginx has forgotten that one: it may stumble over another site.
    """
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    socket = f"{door.unit(instance)}.socket"
    ours = [recovery.odoo.unit, socket, archive.unit(instance)]
    if _has_own_follower(instance):
        ours.append(f"{engine.follower(instance)}.service")
    there = {str(UNITS / unit) for unit in ours} - set(
        files.missing(shell, *(UNITS / unit for unit in ours))
    )
    if named := [unit for unit in ours if str(UNITS / unit) in there]:
        shell.run(("systemctl", "disable", "--now", *named), timeout_seconds=STOP_SECONDS)
    job.stop_all(shell, instance.name, timeout_seconds=STOP_SECONDS)
    handing = (f"{door.unit(instance)}@*.service", _slice(instance))
    shell.run(("systemctl", "stop", *handing), timeout_seconds=STOP_SECONDS)
    shell.run(("systemctl", "reset-failed", *handing, *ours), check=False)
    files.remove(shell, *(UNITS / unit for unit in ours), UNITS / f"{door.unit(instance)}@.service")
    shell.run(("systemctl", "daemon-reload"))
    return site.forget(instance, heir=heir, delete_kept=delete_kept)


def _slice(instance: OdooInstance) -> str:
    """Name the slice that systemd has made for the services of the door.

    >>> _slice(OdooInstance.model_construct(name="vps_1"))
    'system-relevo\\\\x2ddoor\\\\x2dvps_1.slice'
    """
    return "system-" + door.unit(instance).replace("-", r"\x2d") + ".slice"


def _has_own_follower(instance: OdooInstance) -> bool:
    """Tell whether the follower follows this instance alone."""
    own = instance.recovery.odoo.user == users.odoo_user(instance.name)
    return own or not traces.others(instance.recovery.host.shell(), instance.name)


@step("delete the cluster of {instance.name} on {instance.recovery}")
def drop_cluster(instance: OdooInstance, *, delete_kept: bool) -> None:
    """Stop the standby and delete it; its configuration last, which says where its data lie."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    found = recovery.cluster
    if files.exists(shell, found.config_dir / "postgresql.conf"):
        left.keep(instance, place.folder(instance), delete=delete_kept)
        _delete_data(instance, delete_kept=delete_kept)
    shell.run(("systemctl", "stop", found.unit), check=False, timeout_seconds=STOP_SECONDS)
    shell.run(("systemctl", "reset-failed", found.unit), check=False)
    files.remove_tree(shell, found.config_dir)
    drop_ins = UNITS / f"{found.unit}.d"
    files.remove(shell, drop_ins / "relevo-users.conf", drop_ins / "relevo-start.conf")
    files.remove(shell, TMPFILES / f"relevo-{instance.name}.conf")
    if found.confined:
        files.remove_tree(shell, found.sockets)
        traces.forget_empty(shell, (drop_ins, found.sockets.parent))
    log_name = re.escape(f"postgresql-{found.version}-{found.name}.log")
    traces.forget_logs(shell, confinement.LOG, rf"{log_name}([.-][0-9]+(\.gz)?)?")
    shell.run(("systemctl", "daemon-reload"))


def _delete_data(instance: OdooInstance, *, delete_kept: bool) -> None:
    """Delete the data; what is kept aside becomes root's: its own user goes, and its number."""
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    cluster.stop_starting(recovery)
    aside.sweep(recovery)
    if delete_kept:
        aside.delete(instance, recovery)
    else:
        for path in aside.paths(recovery):
            left = files.give_tree(shell, path, former=recovery.cluster.owner, user="root")
            if left.count:
                log().warning("%s keeps its owner: it has other names elsewhere", left.name)
    files.remove_tree(shell, observe(recovery).directory)


@step("delete the files of {instance.name} on {instance.recovery}")
def drop_files(instance: OdooInstance) -> None:
    """Delete the copies of the files, their trash, the built Odoo and the key for the origin."""
    shell, odoo = instance.recovery.host.shell(), instance.recovery.odoo
    for path in (odoo.data_dir, instance.directory):
        files.remove_tree(shell, path)


@step("stop answering the guard of {instance.name}")
def answer_no_more(instance: OdooInstance) -> None:
    """Admit the key of the origin's guard no more; by now there is no guard that could ask."""
    host = instance.recovery.host
    traces.forget_admission(host.shell(), host.user, f"guard {instance.name}")


@step("remove the users of {instance.name} on {instance.recovery}")
def drop_users(instance: OdooInstance) -> None:
    """Remove the two system users that were this instance's alone, and end what runs as them."""
    shell = instance.recovery.host.shell()
    ours = (users.odoo_user(instance.name), users.cluster_user(instance.name))
    done = shell.run(("sh", "-c", DROP, "drop users", *ours), check=False, timeout_seconds=120)
    if done.status != 0:
        raise CommandFailed(
            f"the users {' and '.join(ours)} on {instance.recovery} could not be removed: "
            f"{done.tail}",
            hint=f"end what runs as them there (ps -u {ours[0]} -u {ours[1]}), then run this again",
        )


@step("forget {instance.name} on {instance.recovery}")
def forget(instance: OdooInstance) -> None:
    """Take receipts, records and logs away; programs and folders go with the last instance.

    The files of the lock and of its turns stay until the next boot: somebody may be waiting for it,
    and a run of before stays shut out.
    """
    shell, name = instance.recovery.host.shell(), re.escape(instance.name)
    follower = re.escape(engine.follower_log(instance).name)
    files.remove_tree(shell, STATE / instance.name)
    allotted.free(instance)
    files.remove(shell, STATE / ".turns" / instance.name)
    traces.forget_empty(shell, (STATE / ".turns",))
    logs = rf"{name}-[a-z-]+\.log"
    if _has_own_follower(instance):
        logs += rf"|{follower}"
    traces.forget_logs(shell, LOGS, logs)
    traces.leave(shell, instance.name)
    log().info("%s has nothing left of %s", instance.recovery, instance.name)
