"""Runbook: "Replicación del cluster de la VPS"."""

from blocks.instance import OdooInstance
from tasks.authority import exposure
from tasks.host import durable, lock
from tasks.logins import login
from tasks.postgres import boot, cluster, hba
from tasks.readiness import ahead
from tasks.recovery import door, settling
from tasks.recovery.procedure import flow
from tasks.standby import replica


@flow(name="basebackup", flow_run_name="clone {instance.name} to {instance.recovery}")
def basebackup(instance: OdooInstance, *, reclone: bool = False) -> None:
    """Clone the origin's cluster to the recovery host by a base backup, as its standby.

    Before: setup-primary has run. After: the standby streams and has replayed all WAL.
    A standby that already follows is left alone; `reclone` makes a new one beside it first.
    """
    with lock.held(instance, "basebackup"):
        ahead.require_clone(instance, reclone=reclone)
        build(instance, reclone=reclone)
        exposure.sample_link(instance)


def build(instance: OdooInstance, *, reclone: bool) -> None:
    origin, recovery = instance.origin, instance.recovery

    replica.require_primary(origin)
    replica.require_locales(instance)
    login.prove_login(instance, recovery, origin)

    cluster.create(recovery)
    settling.move_cluster(instance)
    boot.start_afresh(recovery)
    replica.configure(instance)
    hba.admit(instance, recovery, origin, odoo_role=replica.odoo_role(instance))
    replica.clone(instance, reclone=reclone)

    durable.sync(recovery)
    replica.note_identity(instance)
    with door.opened(instance):
        login.prove_login(instance, origin, recovery)
