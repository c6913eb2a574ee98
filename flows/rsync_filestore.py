"""Runbook: "Replicación del Filestore" and its crontab."""

from typing import Literal

from blocks.instance import OdooInstance
from tasks.authority import exposure
from tasks.filestore import copies, follower, trash
from tasks.host import lock
from tasks.notices import events
from tasks.recovery.procedure import flow


@flow(name="rsync-filestore", flow_run_name="copy the {kind} of {instance.name}",
      on_failure=[events.tell_refused])  # fmt: skip
def rsync_filestore(
    instance: OdooInstance, kind: Literal["filestore", "sources", "requirements"] = "filestore"
) -> None:
    """Bring the recovery host's copy of the origin's files up to date.

    Deleted files go to a trash, which keeps them for its retention. A pass that would delete a
    large share is refused. It never runs while the recovery host serves this instance.
    """
    with lock.held(instance, "rsync-filestore"):
        copy(instance, kind)


def copy_files(instance: OdooInstance) -> None:
    copy(instance, "filestore")


def copy(instance: OdooInstance, kind: Literal["filestore", "sources", "requirements"]) -> None:
    copies.require_standby(instance)
    exposure.sample_link(instance)

    trash.purge(instance)
    copies.pull(instance, kind)
    if kind == "filestore":
        follower.start(instance)  # which a stopped unit, or an instance of then, is without
    events.tell_synced(instance, kind)
