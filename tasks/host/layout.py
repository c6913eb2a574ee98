"""Where the recovery host keeps an instance: a folder of root's, with a room for each user.

`directory` is root's, and entered by Odoo's user alone, who writes in rooms of its own: data_dir,
sources, venv, engine, trash and home. Its odoo.conf and the key for the origin (ssh) it may read.
What the cluster's user alone may read stands in /var/lib/relevo/NAME/postgres.
"""

from pathlib import PurePosixPath

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.host.files import STATE

# Whoever runs here has to come through the folders above, which may have been made for another.
# Below one that is closed nothing can be tried, and the mode has to tell.
CLOSED = """
path=$(dirname "$1")
while [ "$path" != / ]; do
    [ ! -e "$path" ] || runuser -u "$2" -- test -x "$path" || case $(stat -c %a "$path") in
        *[1357]) ;;
        *) echo "$path" ;;
    esac
    path=$(dirname "$path")
done
"""


def home(instance: OdooInstance) -> PurePosixPath:
    """The home of the user that runs Odoo."""
    return instance.directory / "home"


def ssh(instance: OdooInstance) -> PurePosixPath:
    """The folder with the key that opens the origin's files."""
    return instance.directory / "ssh"


def postgres(instance: OdooInstance) -> PurePosixPath:
    """The folder with what the cluster's user alone may read."""
    return STATE / instance.name / "postgres"


def of_odoo(instance: OdooInstance) -> tuple[PurePosixPath, ...]:
    """The folders that belong to Odoo's user."""
    names = ("sources", "venv", "engine", "home")
    inside = (instance.directory / name for name in names)
    return (instance.recovery.odoo.data_dir, instance.trash, *inside)


def followed(instance: OdooInstance) -> tuple[PurePosixPath, ...]:
    """The folders in which the engine writes."""
    return (instance.recovery.odoo.data_dir, instance.trash, instance.directory / "engine")


def passfile(instance: OdooInstance, place: Place) -> PurePosixPath:
    """The password file with which a place logs in to the other's cluster."""
    if not place.cluster.confined:
        return files.home(place.host.shell(), place.cluster.owner) / ".pgpass"
    return postgres(instance) / "pgpass"


def make(instance: OdooInstance) -> None:
    """Make the folders of an instance, each with its owner; the one around them is root's."""
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    odoo = files.owner(shell, recovery.odoo.user)
    group = odoo.split(":")[1]
    files.take(shell, instance.directory, group=group, mode="750")
    files.make_directory(shell, ssh(instance), owner=f"root:{group}", mode="750")
    for folder in (postgres(instance).parent, postgres(instance)):
        files.make_directory(shell, folder, owner="root:root", mode="755")
    for folder in (home(instance), *followed(instance)):
        if not files.exists(shell, folder):
            files.make_directory(shell, folder, owner=odoo, mode="750")


def require_way(instance: OdooInstance) -> None:
    """Refuse a folder that Odoo's user cannot reach: newer useradds make homes of mode 700."""
    recovery, user = instance.recovery, instance.recovery.odoo.user
    argv = ("sh", "-c", CLOSED, "way", str(instance.directory), user)
    if closed := recovery.host.shell().run(argv).stdout.splitlines():
        raise Refused(
            f"the user {user} on {recovery} cannot reach {instance.directory}: "
            f"no other user may pass through {' and '.join(closed)}",
            hint=f"run chmod o+x {' '.join(closed)} there, or name another recovery.directory in "
            "the inventory",
        )
