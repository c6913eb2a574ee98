"""Records that somebody deleted or changed, as they were."""

from datetime import datetime

from blocks.instance import OdooInstance
from blocks.names import LocalPath
from tasks.host import lock
from tasks.past import backup, export, scratch
from tasks.past import chosen as choice
from tasks.plan import aftermath
from tasks.recovery.procedure import flow
from tasks.run.report import Report, publish


@flow(name="bring_back_records",
      flow_run_name="bring {model} of {database} of {instance.name} back as of {at}",
      on_cancellation=[aftermath.say])  # fmt: skip
def bring_back_records(
    instance: OdooInstance, at: datetime, database: str, model: str, to: LocalPath,
    *, domain: str = "", ids: str = "",
) -> Report:  # fmt: skip
    """Write chosen records of a database as they were as CSV; customers notice nothing.

    Before: the time machine of the instance has that moment.
    1. A copy of its base backup is brought to that moment, beside the standby and isolated as a
       drill is.
    2. Odoo's own shell reads the records there, of a domain or by their ids, archived ones too.
    3. They come to this machine as the file `to`, in which no text is a formula. The copy is
       deleted.

    Odoo's import takes the file: its columns have the names of the fields, `.id` names the record.
    """
    chosen = choice.choose(model, domain, ids)
    backup.require_target(to)
    with lock.held(instance, "look", beside=True), scratch.opened(instance, at) as past:
        backup.require_database(past, database)
        with export.written(past, database, chosen) as (path, made):
            backup.fetch(past, path, made, to)

    return publish(
        Report(
            title=f"{model} of {database} of {instance.name} as it was at {past.when}",
            facts={
                "file": f"{to}, {made}",
                "records": str(made.rows),
                "ids that were no records then": ", ".join(map(str, made.lacking)) or "none",
                "base backup": past.base,
                "newest commit in it": past.newest,
                "seconds until the copy was open": past.seconds,
                "left behind": "nothing",
            },
        ),
        key=f"bring-back-records-{instance.name}",
    )
