"""Runbook: "Replicación del Filestore", keys and ~/.ssh/config."""

from blocks.instance import OdooInstance
from tasks.filestore import key
from tasks.host import lock
from tasks.recovery import settling
from tasks.recovery.procedure import flow


@flow(name="configure-ssh", flow_run_name="let {instance.recovery} fetch files of {instance.name}")
def configure_ssh(instance: OdooInstance) -> None:
    """Let the recovery host fetch the origin's files with rsync, and do nothing else there.

    After: the origin accepts a key of this instance for one command, the recovery host has pinned
    the origin's host key, and a copy has been tested.
    """
    with lock.held(instance, "configure-ssh"):
        open_way(instance)


def open_way(instance: OdooInstance) -> None:
    settling.give_users(instance)
    public_key = key.make(instance)
    key.authorise(instance, public_key)
    key.pin_host_key(instance)

    key.prove(instance)
