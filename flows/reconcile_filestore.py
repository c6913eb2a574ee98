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
    """Compare every document with the files on both sides, and put right what can be.

    What is missing here is fetched, a share of all files is read again and compared with its sha1,
    a file that is gone or cut short at the origin is given back to it (`repair_origin`), and what
    no document has named for the grace time goes to the trash. A pass that would move or repair a
    suspicious share is refused with an event; `accept_deletions` lets it move files once.
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
