"""The slow, whole comparison beside the passes that follow what changed."""

from blocks.instance import OdooInstance
from tasks.filestore import copies, documents, judgement
from tasks.host import lock
from tasks.notices import events
from tasks.recovery.procedure import flow
from tasks.run.report import Report, publish


@flow(name="reconcile-filestore", flow_run_name="reconcile the filestore of {instance.name}",
      on_failure=[events.tell_refused])  # fmt: skip
def reconcile_filestore(
    instance: OdooInstance, *, repair_origin: bool = True, accept_deletions: bool = False
) -> Report:
    """Compare every document with the files on both sides, and repair what can be repaired.

    It fetches files that are missing here, reads a share of all files again and compares it with
    the sha1, gives back to the origin a file that is missing or truncated there (`repair_origin`),
    and moves to the trash what no document has named for the grace time. A pass that would move or
    repair a suspicious share is refused with an event; `accept_deletions` lets it move files once.
    """
    with lock.held(instance, "reconcile-filestore"):
        copies.require_standby(instance)
        facts = judgement.reconcile(
            instance, repair_origin=repair_origin, accept_deletions=accept_deletions
        )
        agreed = judgement.judge(instance)
        missing = documents.find_missing(instance, instance.recovery)

    return publish(
        Report(
            title=f"the filestore of {instance.name} was compared as a whole",
            facts=judgement.reconciled(facts) | {"database and files": agreed},
            documents=missing,
        ),
        key=f"reconcile-{instance.name}",
    )
