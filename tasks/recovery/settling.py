"""An instance given users of its own on the recovery host, and moved to them.

One that Relevo 0.1 replicated runs as users that all instances share; replicate moves it.
"""

from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import PurePosixPath

from blocks import users
from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.build import build
from tasks.host import files, layout, lock, managed_block
from tasks.host.job import ENGINE, stop_job
from tasks.logins import login
from tasks.odoo import odoo_conf, service
from tasks.postgres import hba
from tasks.postgres.observe import find, observe
from tasks.records import records
from tasks.records.kinds import Failover, Owners, Users
from tasks.recovery import confinement
from tasks.recovery.users import as_found, owners_of, with_owners
from tasks.run.step import log, step

MAKE = """
known=$(getent passwd "$1" | cut -d: -f6)
[ -z "$known" ] || [ "$known" = "$2" ] || { echo "its home is $known, and not $2" >&2; exit 1; }
[ -n "$known" ] || exec useradd --system --user-group --no-create-home \\
    --home-dir "$2" --shell /usr/sbin/nologin "$1"
"""


@step("give {instance.name} its own users on {instance.recovery}")
def give_users(instance: OdooInstance) -> None:
    """Make the users and the folders of an instance; move what an earlier Relevo left elsewhere.

    A move that was cut off is taken up again. The cluster follows later (`move_cluster`): it needs
    the new user's passwords to stream. Until then it runs, and can be promoted, as it was.
    """
    if instance.settled == "shared":
        return  # replicate alone moves it
    recovery, wanted = instance.recovery, owners_of(instance)
    known = records.read(recovery, instance, Users)
    if known and known.whole and known.owners == wanted:
        return
    former = _former(instance, known)
    if former:
        _require_movable(as_found(instance))
    make_users(instance)
    layout.require_way(instance)
    if not former:
        layout.make(instance)
        records.write(recovery, instance, _settled(instance))
        return
    log().info("moving %s on %s to %s, %s", instance.name, recovery, wanted.odoo, wanted.postgres)
    # Written down first: whoever finds the move cut off goes by these names.
    moving = Users(
        odoo=wanted.odoo, postgres=former.postgres, wanted=wanted, former=former, whole=False
    )
    records.write(recovery, instance, moving)
    layout.make(instance)
    _move(as_found(instance), former)


def finish(instance: OdooInstance, *, plan_only: bool = False) -> OdooInstance:
    """End a move to its own users that was cut off; give the instance as it is then.

    A plan changes nothing: it takes the instance as it is.

    A replicate that died may have left the standby down, with its files half given away. Replicate
    needs the origin to go on; a failover must not.
    """
    if plan_only or instance.settled != "moving":
        return instance
    with lock.held(instance, "replicate", preempt=True):
        _finish(instance)
    return as_found(instance)


@step("finish the interrupted move of {instance.name} to its own users")
def _finish(instance: OdooInstance) -> None:
    recovery = instance.recovery
    known = records.read(recovery, instance, Users)
    assert known is not None, "it was found in the middle of a move"
    assert known.former is not None, "no record is of a move from nobody"
    assert known.wanted is not None, "no record is of a move to nobody"
    layout.make(instance)
    _move(instance, known.former)
    listed = find(recovery.host.shell(), recovery)
    if listed and not (listed.online and listed.owner == known.former.postgres):
        _move_cluster(with_owners(instance, known.wanted, settled="moving"))


@step("let the cluster of {instance.name} run as its own user")
def move_cluster(instance: OdooInstance) -> None:
    """Confine the cluster; one that belongs to the former user is started anew, once."""
    _move_cluster(instance)


def _move_cluster(instance: OdooInstance) -> None:
    recovery = instance.recovery
    known, owners = records.read(recovery, instance, Users), owners_of(instance)
    if known is None or known.whole:
        confinement.settle(instance, former=recovery.cluster.owner)
        return
    assert known.former is not None, "no record is of a move from nobody"
    confinement.settle(instance, former=known.former.postgres)
    build.take_over(instance)
    moved = replace(known, odoo=owners.odoo, postgres=owners.postgres, whole=True)
    records.write(recovery, instance, moved)


def _require_movable(found: OdooInstance) -> None:
    """Refuse, before anything is touched, to move an instance that serves, or one in two places."""
    recovery = found.recovery
    moved = records.read(recovery, found, Failover) is not None
    if moved or observe(recovery).is_primary:
        raise Refused(
            f"{found.name} keeps the users {recovery.odoo.user} and {recovery.cluster.owner} while "
            f"its customers are served from {recovery}",
            hint="run failback first, then replicate",
        )
    _require_wal_inside(recovery)


def _require_wal_inside(recovery: Place) -> None:
    shell, wal = recovery.host.shell(), observe(recovery).directory / "pg_wal"
    elsewhere = shell.run(("test", "-L", str(wal)), user=recovery.cluster.owner, check=False)
    if elsewhere.status == 0:
        raise Refused(
            f"{wal} on {recovery} is a link to another disk, which the new user could not enter",
            hint=f"stop {recovery.cluster.unit} there, move the folder back in the place of the "
            "link, start it, and run this again",
        )


def _settled(instance: OdooInstance) -> Users:
    owners = owners_of(instance)
    return Users(odoo=owners.odoo, postgres=owners.postgres, whole=True)


def make_users(instance: OdooInstance) -> None:
    """Make the users that are this instance's alone; shared ones are an operator's to make."""
    shell = instance.recovery.host.shell()
    homes: dict[str, PurePosixPath] = {
        users.odoo_user(instance.name): layout.home(instance),
        users.cluster_user(instance.name): layout.postgres(instance),
    }
    for user in astuple(owners_of(instance)):
        if user in homes:
            shell.run(("sh", "-c", MAKE, "make user", user, str(homes[user])))


def _former(instance: OdooInstance, known: Users | None) -> Owners | None:
    """The users that have what is there; none where nothing is."""
    if known:
        return known.owners if known.whole else known.former
    found = as_found(instance)
    return owners_of(found) if found.settled == "shared" else None


def _move(instance: OdooInstance, former: Owners) -> None:
    """Give Odoo's new user all that the former one has of this instance."""
    shell = instance.recovery.host.shell()
    _stop_copies(instance)
    role = odoo_conf.database_role(
        files.read(shell, instance.recovery.odoo.config), default=former.odoo
    )
    hba.admit(instance, instance.recovery, instance.origin, odoo_role=role)
    _give_folders(instance, former.odoo)
    follower = f"relevo-follow-{former.odoo}.service"
    if service.is_active(shell, follower):
        # It follows other instances too; of this one it has no right to know any more.
        shell.run(("systemctl", "restart", follower))
        _give_folders(instance, former.odoo)  # what it has fetched meanwhile
    build.take_over(instance)


def _give_folders(instance: OdooInstance, former: str) -> None:
    """Give them together: one file may have names in several of them."""
    shell, user = instance.recovery.host.shell(), instance.recovery.odoo.user
    given = files.give_trees(shell, layout.of_odoo(instance), former=former, user=user)
    for folder, left in given.items():
        if left.count:
            log().warning(
                "%d files below %s still belong to %s, for they have other names elsewhere: %s",
                left.count, folder, former, left.name,
            )  # fmt: skip


def _stop_copies(instance: OdooInstance) -> None:
    """End what writes as the former user; a pass that is ended begins again by itself."""
    shell, name = instance.recovery.host.shell(), instance.name
    for kind in ("filestore", "sources", "requirements"):
        stop_job(shell, f"{name}-{kind}")
    for verb in ENGINE:
        stop_job(shell, f"{name}-engine-{verb}")


@step("revoke what the former users of {instance.name} could read")
def forget_former(instance: OdooInstance) -> None:
    """Remove keys and passwords that stood where other instances' users could read them.

    Last in a set-up: by then the new ones have been proven.
    """
    recovery, shell = instance.recovery, instance.recovery.host.shell()
    known = records.read(recovery, instance, Users)
    if known is None or (former := known.former) is None:
        return
    if former.odoo != recovery.odoo.user:
        home = files.home(shell, former.odoo) / ".ssh"
        names = (f"relevo_{instance.name}{suffix}" for suffix in ("", ".pub", ".known"))
        files.remove(shell, *(home / name for name in names))
        _change(instance, home / "config", former.odoo, _without_block(instance))
    if former.postgres != recovery.cluster.owner:
        home = files.home(shell, former.postgres)
        pem = home / ".postgresql" / f"relevo_{instance.name}_origin.pem"
        files.remove(shell, pem)
        login.forget_passwords(instance, home / ".pgpass", former.postgres)
    records.write(recovery, instance, _settled(instance))


def _without_block(instance: OdooInstance) -> Callable[[str], str]:
    return lambda text: managed_block.without(text, name=instance.name)


def _change(
    instance: OdooInstance, path: PurePosixPath, user: str, change: Callable[[str], str]
) -> None:
    shell = instance.recovery.host.shell()
    if files.exists(shell, path):
        files.edit(shell, path, change, owner=files.owner(shell, user), mode="600")
