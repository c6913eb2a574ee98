"""The past of an instance that is taken out: kept for its next replica, under whatever name.

It waits as root's, by the number of the system that it is of: a removal and another set-up, and a
rename, lose no second of it but those in which there was no replica.
"""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.host import files
from tasks.host.files import STATE
from tasks.install import traces
from tasks.postgres.observe import observe
from tasks.run.step import log, step

ROOM = STATE / ".past"


def waiting(instance: OdooInstance) -> PurePosixPath:
    """Where the past of its cluster is kept while there is no replica."""
    control = observe(instance.recovery).control
    return ROOM / (control.system_identifier if control else instance.name)


@step("keep the past of {instance.name} on {instance.recovery}")
def keep(instance: OdooInstance, folder: PurePosixPath, *, delete: bool) -> None:
    """Let the past wait as root's, or delete it; the user that owned it goes."""
    shell = instance.recovery.host.shell()
    if not files.exists(shell, folder):
        return
    if delete:
        files.remove_tree(shell, folder)
        return
    target = waiting(instance)
    if files.exists(shell, target):
        raise Refused(
            f"{target} on {instance.recovery} is there already, the past of the same cluster",
            hint="move it away there, then run this again",
        )
    files.give_tree(shell, folder, former=instance.recovery.cluster.owner, user="root")
    files.take(shell, ROOM, group="root", mode="700")
    files.move(shell, folder, target)


@step("look for a past of {instance.name} on {instance.recovery}")
def adopt(instance: OdooInstance, folder: PurePosixPath) -> bool:
    """Take over what waits of the same cluster; tell whether there was anything."""
    shell = instance.recovery.host.shell()
    if files.exists(shell, folder):
        return False
    target = waiting(instance)
    if not files.exists(shell, target):
        return False
    files.give_tree(shell, target, former="root", user=instance.recovery.cluster.owner)
    files.move(shell, target, folder)
    traces.forget_empty(shell, (ROOM,))
    log().info("the past that was kept of the same cluster is that of %s now", instance.name)
    return True
