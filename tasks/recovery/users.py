"""The system users of an instance on the recovery host, as they are now.

A customer's superuser or module can do there what these users can, and no more.
"""

from blocks import users
from blocks.errors import RelevoError, Unreachable
from blocks.instance import OdooInstance
from tasks.postgres.observe import find
from tasks.records import records
from tasks.records.kinds import Identity, Owners, Users

# Arguments: the record, what tells an instance of Relevo 0.1, and the folders that its Odoo owned.
FOUND = """
cat "$1" 2>/dev/null && exit 0
[ ! -e "$2" ] || stat -c 'shared %U' "$3" 2>/dev/null || stat -c 'shared %U' "$4"
exit 0
"""


def as_found(instance: OdooInstance) -> OdooInstance:
    """Give the instance with the users that it has on the recovery host now.

    Between an upgrade of the runner and the next replicate these may be the ones that all instances
    shared. Of a recovery host that does not answer, the next step says so.
    """
    noted, copied = (records.path(instance, kind) for kind in (Users, Identity))
    words = (noted, copied, instance.recovery.odoo.data_dir, instance.directory)
    argv = ("sh", "-c", FOUND, "users", *map(str, words))
    try:
        output = instance.recovery.host.shell().run(argv).stdout
    except Unreachable:
        return instance
    if output.startswith("shared "):
        owner = output.split()[1]
        user = instance.recovery.odoo.user if owner == "root" else owner
        return with_owners(instance, Owners(user, users.SHARED_CLUSTER_USER), settled="shared")
    if not output:
        return instance
    known = records.understood(instance.recovery, instance, Users, output)
    if known.whole:
        return with_owners(instance, known.owners, settled="own")
    assert known.wanted is not None, "no record is of a move to nobody"
    # A run that died may have given the cluster away, and not written so: its folder tells.
    moving, wanted = with_owners(instance, known.owners, settled="moving"), known.wanted.postgres
    listed = find(instance.recovery.host.shell(), moving.recovery)
    given = listed is not None and listed.owner == wanted
    return with_owners(moving, Owners(known.odoo, wanted), settled="moving") if given else moving


def with_owners(instance: OdooInstance, known: Owners, *, settled: str) -> OdooInstance:
    recovery, owner = instance.recovery, known.postgres
    sockets = users.sockets(instance.name, owner)
    place = recovery.model_copy(
        update={
            "odoo": recovery.odoo.model_copy(update={"user": known.odoo}),
            "cluster": recovery.cluster.model_copy(update={"owner": owner, "sockets": sockets}),
        }
    )
    return instance.model_copy(update={"recovery": place, "settled": settled})


def judge(instance: OdooInstance) -> list[str]:
    """Say as whom an instance runs on the recovery host, and who else is the same user."""
    recovery = instance.recovery
    sentence = f"Odoo runs as {recovery.odoo.user}, PostgreSQL as {recovery.cluster.owner}"
    if instance.settled == "moving":
        raise RelevoError(f"the move to {recovery.odoo.user} was interrupted: run replicate")
    if instance.settled == "shared":
        everybody = f"{recovery.odoo.user} and {recovery.cluster.owner}"
        return [
            sentence,
            f"it shares the users {everybody} with others: run replicate while it is at home",
        ]
    if instance.shared_users:
        listed = ", ".join(instance.shared_users)
        return [
            sentence,
            (
                f"it shares the user {listed} with other instances, so a breach of one is a "
                "breach of both: remove odoo_user and postgres_user from the inventory, then run "
                "replicate"
            ),
        ]
    return [sentence]


def owners_of(instance: OdooInstance) -> Owners:
    return Owners(instance.recovery.odoo.user, instance.recovery.cluster.owner)
