"""The whole set-up of a new instance."""

from blocks.instance import OdooInstance
from flows import basebackup, build_service, configure_ssh, rsync_filestore, setup_primary
from tasks.archive import archive
from tasks.authority import exposure, guard, keys, stage
from tasks.filestore import follower
from tasks.host import durable, lock
from tasks.notices import schedules
from tasks.plan import aftermath
from tasks.readiness import ahead, compatibility, preflight
from tasks.receipts import receipts
from tasks.records import records
from tasks.records.kinds import SetUp
from tasks.recovery import allotted, settling, users
from tasks.recovery.procedure import flow
from tasks.synchronous import synchronous


@flow(name="replicate", flow_run_name="replicate {instance.name} to {instance.recovery}",
      on_cancellation=[aftermath.say], on_failure=[aftermath.say_failed],
      as_found=False)  # fmt: skip
def replicate(instance: OdooInstance, *, allow_restart: bool = True) -> None:
    """Give an Odoo server its replica on the recovery host, from nothing.

    Before: the instance is in the inventory. After: the database streams, the files follow, Odoo is
    built and tried on the recovery host, and the schedules keep it so.
    A second run skips what is done and does the rest.
    """
    with lock.held(instance, "replicate"):
        keys.require_known(instance)
        stage.require_ended(users.as_found(instance))
        preflight.require_hosts(instance)
        ahead.require(instance, allow_restart=allow_restart)
        allotted.keep(instance)
        setup_primary.prepare(instance, allow_restart=allow_restart)
        configure_ssh.open_way(instance)
        basebackup.build(instance, reclone=False)
        rsync_filestore.copy(instance, "sources")
        rsync_filestore.copy(instance, "requirements")
        rsync_filestore.copy(instance, "filestore")
        build_service.build(instance)
        watch_over(instance)
        follower.start(instance)
        archive.apply(instance)

        schedules.resume(instance)
        synchronous.apply(instance)
        exposure.sample_link(instance)
        for place in (instance.origin, instance.recovery):
            durable.sync(place)
        settling.forget_former(instance)
        compatibility.require(instance)
        records.record_success(instance.recovery, instance, SetUp)


def watch_over(instance: OdooInstance) -> None:
    receipts.begin(instance)
    guard.admit(instance)
    guard.install(instance)
    guard.prove(instance)
