"""The files of an instance that is renamed stay on the recovery host, and never travel again.

They go from the old name's user to the new one's while both are there, so that nothing is left to
a number that somebody else gets. Meanwhile they lie in a folder of root's, where nobody comes in;
then they are compared with the database as after any set-up.
"""

import stat
from pathlib import PurePosixPath

from blocks import users
from blocks.instance import OdooInstance
from tasks.host import files, layout
from tasks.recovery import settling
from tasks.run.step import log, step

# Only what is worth it: the rest is small, or made for one name alone.
KEPT = ("data_dir", "trash", "sources")


def room(directory: PurePosixPath, former: str) -> PurePosixPath:
    """Name the folder in which the files of a former name wait.

    >>> room(PurePosixPath("/srv/relevo/vps_2"), "vps_1")
    PurePosixPath('/srv/relevo/vps_2/of-vps_1')
    """
    return directory / f"of-{former}"


def immovable(instance: OdooInstance) -> list[PurePosixPath]:
    """Name the folders that no rename can move: one is mounted, or a link, and is copied again."""
    shell = instance.recovery.host.shell()
    there = [instance.directory.parent, *(instance.directory / name for name in KEPT)]
    gone = files.missing(shell, *there)
    argv = ("stat", "-c", "%f %m", *(str(each) for each in there if str(each) not in gone))
    found = shell.run(argv).stdout.splitlines() if len(gone) < len(there) else []
    facts = dict(zip((each for each in there if str(each) not in gone), found, strict=True))
    mount = facts.pop(there[0], "").partition(" ")[2]
    return [path for path, said in facts.items() if not _is_movable(said, mount)]


def _is_movable(said: str, mount: str) -> bool:
    """
    >>> _is_movable("41e8 /srv", "/srv"), _is_movable("41e8 /srv/a", "/srv")
    (True, False)
    >>> _is_movable("a1ff /srv", "/srv")
    False
    """
    mode, _, at = said.partition(" ")
    return stat.S_ISDIR(int(mode, 16)) and at == mount


@step("keep the files of {instance.name} on {instance.recovery} for {heir.name}")
def keep(instance: OdooInstance, heir: OdooInstance) -> None:
    """Let the files wait in the new name's folder, as its user's; or have them copied again."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    waiting = room(heir.directory, instance.name)
    barred = immovable(instance)
    if user == users.odoo_user(instance.name):
        shell.run(("pkill", "-KILL", "-u", user), check=False)  # nobody writes there any more
    for folder in (waiting.parent, waiting):
        files.take(shell, folder, group="root", mode="700")
    settling.make_users(heir)
    for name in KEPT:
        path = instance.directory / name
        if path in barred:
            log().warning("%s is copied again: it is on another disk, or a link", path)
        elif files.exists(shell, path):
            _keep(instance, heir, path, waiting / name)


def _keep(
    instance: OdooInstance, heir: OdooInstance, path: PurePosixPath, waiting: PurePosixPath
) -> None:
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    if left := files.give_tree(shell, path, former=user, user=heir.recovery.odoo.user):
        log().warning(
            "%s is copied again: %d files there have other names elsewhere, %s among them",
            path, len(left), left[0],
        )  # fmt: skip
        return
    files.remove_tree(shell, waiting)  # of a run that was cut off, before it was replicated again
    files.move(shell, path, waiting)


@step("give {instance.name} the files that {former} had")
def adopt(instance: OdooInstance, former: str) -> None:
    """Put what waits in its place; where there is a copy of its own already, it goes."""
    shell, waiting = instance.recovery.host.shell(), room(instance.directory, former)
    if not files.exists(shell, waiting):
        log().info("no files wait for %s", instance.name)
        return
    settling.make_users(instance)
    layout.require_way(instance)
    for name in KEPT:
        path, target = waiting / name, instance.directory / name
        if files.exists(shell, path) and not files.exists(shell, target):
            files.move(shell, path, target)
    files.remove_tree(shell, waiting)
