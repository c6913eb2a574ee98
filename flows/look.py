"""An instance as it was, to be looked at."""

from datetime import datetime

from blocks.instance import OdooInstance
from tasks.host import lock
from tasks.odoo import customers
from tasks.past import scratch, viewing
from tasks.plan import aftermath
from tasks.readiness import drill_steps
from tasks.recovery.procedure import flow
from tasks.run.report import Report, publish


@flow(name="look", flow_run_name="look at {instance.name} as of {at}",
      on_cancellation=[aftermath.say])  # fmt: skip
def look(instance: OdooInstance, at: datetime, *, minutes: int = 60) -> Report:
    """Open an instance as it was at a moment, beside that of now; customers notice nothing.

    Before: the time machine of the instance has that moment.
    1. A copy of its base backup is brought to that moment, beside the standby.
    2. Odoo starts on it, isolated as a drill is, on the files of then: no mail leaves, no cron
       runs, and what is written there is gone afterwards.
    3. Who may log in to the recovery host reaches it over ssh, until the `minutes` are over.
    """
    with lock.held(instance, "look", beside=True), scratch.opened(instance, at) as past:
        found = customers.odoo_databases(past.place)
        with viewing.files_of_then(past, found) as laid, viewing.open_door(past, minutes) as way:
            served = drill_steps.wait_until_serving(past.stage, found)
            viewing.stay(past, minutes, way)

    return publish(
        Report(
            title=f"{instance.name} was open as it was at {past.when}",
            facts={
                "databases that answered": ", ".join(served),
                "base backup": past.base,
                "newest commit in it": past.newest,
                "seconds until the copy was open": past.seconds,
                "files": str(laid),
                "left behind": "nothing",
            },
            documents=laid.documents,
        ),
        key=f"look-{instance.name}",
    )
