"""The files of an instance that is renamed stay on the recovery host, and never travel again.

They go from the old name's user to the new one's while both are there, so that nothing is left to
a number that somebody else gets. Meanwhile they lie in a folder of root's, where nobody comes in;
then they are compared with the database as after any set-up.
"""

import stat
from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks import users
from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.host import files, layout
from tasks.host.files import Left
from tasks.recovery import settling
from tasks.run.step import log, step
from tasks.serving import site_files

# Only what is worth it: the rest is small, or made for one name alone.
TRASH = "trash"
KEPT = ("data_dir", TRASH, "sources")
LINKED = "it is on another disk, or a link"


def room(directory: PurePosixPath, former: str) -> PurePosixPath:
    """Name the folder in which the files of a former name wait.

    >>> room(PurePosixPath("/srv/relevo/vps_2"), "vps_1")
    PurePosixPath('/srv/relevo/vps_2/of-vps_1')
    """
    return directory / f"of-{former}"


def immovable(instance: OdooInstance) -> list[PurePosixPath]:
    """Name the folders that no rename can move: one is mounted, or a link."""
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


def barred(instance: OdooInstance) -> dict[PurePosixPath, str]:
    """Say of each folder that cannot be kept why not; nothing is changed."""
    found = dict.fromkeys(immovable(instance), LINKED)
    trees = [path for path in _there(instance) if path not in found]
    if trees and (left := _outside(instance, trees)):
        # A file that changes its folder has two names for a moment: what is so twice stays so.
        again = _outside(instance, trees)
        found |= {path: _said(again[path]) for path in left if path in again}
    return found


def _there(instance: OdooInstance) -> list[PurePosixPath]:
    paths = [instance.directory / name for name in KEPT]
    gone = files.missing(instance.recovery.host.shell(), *paths)
    return [path for path in paths if str(path) not in gone]


def _outside(instance: OdooInstance, trees: Sequence[PurePosixPath]) -> dict[PurePosixPath, Left]:
    """Count in each tree the files that have names outside of all of them."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    found = files.outside(shell, trees, user=user)
    return {path: left for path, left in found.items() if left.count}


def _said(left: Left) -> str:
    return f"files there have other names elsewhere: {left.name} ({left.count} in all)"


def require(instance: OdooInstance, heir: OdooInstance) -> dict[PurePosixPath, str]:
    """Refuse to lose a trash, which no other server has; say what is copied again, and why."""
    shell, waiting = instance.recovery.host.shell(), room(heir.directory, instance.name)
    found, trash = barred(instance), instance.directory / TRASH
    if why := found.get(trash):
        raise _no_trash(instance, why)
    pairs = {waiting / TRASH: trash in _there(instance)}
    pairs[site_files.waiting(instance.name, heir.name)] = bool(site_files.of_people(instance))
    for path, has_another in pairs.items():
        if has_another and files.exists(shell, path):
            raise Refused(
                f"{path} on {instance.recovery} waits for {heir.name} since an earlier rename, and "
                f"{instance.name} has another one now",
                hint="move one of the two away, then run this again",
            )
    return found


def _no_trash(instance: OdooInstance, why: str) -> Refused:
    trash = instance.directory / TRASH
    return Refused(
        f"the trash {trash} on {instance.recovery} would be lost, which no other server has: {why}",
        hint=f"move what it holds into a folder {trash} on the disk of {instance.directory}, then "
        "run this again"
        if why == LINKED
        else "run find / -samefile FILE there, which names them; delete the names that are "
        "not needed, then run this again",
    )


@step("keep the files of {instance.name} on {instance.recovery} for {heir.name}")
def keep(instance: OdooInstance, heir: OdooInstance) -> None:
    """Let the files wait in the new name's folder, as its user's; or have them copied again.

    They change hands together: one file may have names in several of these folders.
    """
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    waiting, elsewhere = room(heir.directory, instance.name), immovable(instance)
    if user == users.odoo_user(instance.name):
        shell.run(("pkill", "-KILL", "-u", user), check=False)  # nobody writes there any more
    for folder in (waiting.parent, waiting):
        files.take(shell, folder, group="root", mode="700")
    settling.make_users(heir)
    trees = [path for path in _there(instance) if path not in elsewhere]
    again = dict.fromkeys(elsewhere, LINKED) | _give(instance, heir, trees)
    if why := again.get(instance.directory / TRASH):
        raise _no_trash(instance, why)
    for path, why in again.items():
        log().warning("%s is copied again: %s", path, why)
    for path in trees:
        if path not in again:
            files.remove_tree(shell, waiting / path.name)  # of a run that was cut off
            files.move(shell, path, waiting / path.name)


def _give(
    instance: OdooInstance, heir: OdooInstance, trees: Sequence[PurePosixPath]
) -> dict[PurePosixPath, str]:
    """Give the new name's user what is there; say of what cannot be kept why not."""
    if not trees:
        return {}
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    given = files.give_trees(shell, trees, former=user, user=heir.recovery.odoo.user)
    return {path: _said(left) for path, left in given.items() if left.count}


@step("give {instance.name} the files that {former} had")
def adopt(instance: OdooInstance, former: str) -> None:
    """Put what waits in its place; where there is a copy of its own already, it goes.

    Two trashes are both kept, and so are two sites.
    """
    site_files.adopt(instance, former)
    shell, waiting = instance.recovery.host.shell(), room(instance.directory, former)
    if not files.exists(shell, waiting):
        log().info("no files wait for %s", instance.name)
        return
    settling.make_users(instance)
    layout.require_way(instance)
    for name in KEPT:
        path, target = waiting / name, instance.directory / name
        if name == TRASH and files.exists(shell, path):
            _clear(instance, target)
        if files.exists(shell, path) and not files.exists(shell, target):
            files.move(shell, path, target)
    for name in KEPT:
        if name != TRASH:
            files.remove_tree(shell, waiting / name)
    if files.exists(shell, waiting / TRASH):
        log().warning("%s stays there: %s has a trash of its own", waiting / TRASH, instance.name)
        return
    files.remove_tree(shell, waiting)


def _clear(instance: OdooInstance, trash: PurePosixPath) -> None:
    """Take a trash away that holds nothing: a set-up has made it, and one that is full comes."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    if files.exists(shell, trash):
        argv = ("find", str(trash), "-mindepth", "1", "-maxdepth", "1", "-print", "-quit")
        if not shell.run(argv, user=user).stdout:
            files.remove_tree(shell, trash)
