"""What somebody deleted, as it was."""

from datetime import datetime

from blocks.instance import OdooInstance
from blocks.names import LocalPath
from tasks.host import lock
from tasks.past import backup, scratch
from tasks.plan import aftermath
from tasks.recovery.procedure import flow
from tasks.run.report import Report, publish


@flow(name="bring_back", flow_run_name="bring {database} of {instance.name} back as of {at}",
      on_cancellation=[aftermath.say])  # fmt: skip
def bring_back(instance: OdooInstance, at: datetime, database: str, to: LocalPath) -> Report:
    """Write a database as it was at a moment as Odoo's own backup; customers notice nothing.

    Before: the time machine of the instance has that moment.
    1. A copy of its base backup is brought to that moment, beside the standby and isolated as a
       drill is.
    2. The database is dumped, and packed with each file that it names, found by its sha1 in the
       filestore or in the trash. Those that nobody has are named.
    3. The backup comes to this machine as the file `to`, and the copy is deleted.

    Odoo's database manager restores the file, under another name beside the database of now.
    """
    backup.require_target(to)
    with lock.held(instance, "look", beside=True), scratch.opened(instance, at) as past:
        backup.require_database(past, database)
        with backup.written(past, database) as (path, made):
            backup.fetch(past, path, made, to)

    return publish(
        Report(
            title=f"{database} of {instance.name} as it was at {past.when}",
            facts={
                "file": f"{to}, {made}",
                "Odoo": made.version,
                "base backup": past.base,
                "newest commit in it": past.newest,
                "seconds until the copy was open": past.seconds,
                "documents": f"{made.rows}, in {made.files} files",
                "files from the trash": str(made.from_trash),
                "files that nobody has": str(made.missing),
                "left behind": "nothing",
            },
            documents=made.documents,
        ),
        key=f"bring-back-{instance.name}",
    )
