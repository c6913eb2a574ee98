"""Back from the trash."""

from blocks.instance import OdooInstance
from tasks.filestore import judgement
from tasks.host import lock
from tasks.recovery.procedure import flow


@flow(name="restore-filestore", flow_run_name="restore files of {instance.name} of {day}")
def restore_filestore(instance: OdooInstance, day: str, database: str = "") -> int:
    """Put files of one day's trash (2026-11-24) back into the recovery host's filestore.

    It overwrites no file. Name a database to restore only its files. A file that no document names
    goes to the trash again after the grace time.
    """
    with lock.held(instance, "restore-filestore"):
        return judgement.restore(instance, day=day, database=database)
