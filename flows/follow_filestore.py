"""Continuous: files follow within a second, for all instances of a recovery host."""

from blocks.instance import OdooInstance
from tasks.filestore import follower
from tasks.recovery.procedure import flow
from tasks.run.report import Report, publish


@flow(name="follow-filestore", flow_run_name="follow the filestores on {instance.recovery}")
def follow_filestore(instance: OdooInstance, watch_seconds: int = 870) -> Report:
    """Start the follower on an instance's recovery host, and watch it for a while.

    One process there follows all instances of the host, each from its first rsync-filestore on,
    and only while the host is its standby. It runs on between runs of this flow. This flow reports
    on it: it sends an event when an origin does not answer or its files cannot be copied.
    """
    follower.start(instance)
    facts = follower.watch(instance, watch_seconds)

    return publish(
        Report(title=f"filestores followed on {instance.recovery}", facts=facts),
        key=f"follow-{instance.recovery}",
    )
