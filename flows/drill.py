"""A drill, on the days on which nothing burns."""

from datetime import datetime

from blocks.instance import OdooInstance
from tasks.filestore import judgement
from tasks.host import lock
from tasks.odoo import customers
from tasks.past import proof, scratch, viewing
from tasks.past.proof import Opens
from tasks.plan import aftermath
from tasks.readiness import drill_steps
from tasks.records import records
from tasks.recovery.procedure import flow
from tasks.run.report import Report, publish


@flow(name="drill", flow_run_name="rehearse the failover of {instance.name}",
      on_cancellation=[aftermath.say])  # fmt: skip
def drill(instance: OdooInstance, *, opens: Opens = "in turn") -> Report:
    """Rehearse a failover on a throw-away clone of the standby; customers notice nothing.

    Before: the standby runs, and its disk has room for a second copy of the data.
    1. The standby is cloned beside itself, and the clone is promoted. Every other time, where the
       instance has a time machine, a random second of what it keeps is opened instead.
    2. Odoo starts on the clone, with the unit's own command, configuration and user, on a view of
       the files that throws writes away. It has no network and no crons: no mail leaves.
    3. Every database must answer, as at a failover. Then the clone is deleted.

    The drill only reads production and replica. A failover does not wait for a drill. What a killed
    drill leaves ends within the hour, that of a past second within a day, and the next drill
    deletes its clone.
    """
    with lock.held(instance, "drill", beside=True):
        drill_steps.require_standby(instance)
        at = proof.choose(instance, opens)
        report = _of_now(instance) if at is None else _of_then(instance, at)

    return publish(report, key=f"drill-{instance.name}")


def _of_now(instance: OdooInstance) -> Report:
    with drill_steps.stage(instance) as stage:
        drill_steps.require_apart(stage)
        copied = drill_steps.clone(stage)
        promoted = drill_steps.promote(stage)
        drill_steps.start_odoo(stage)
        served = drill_steps.wait_until_serving(stage)
        seconds = stage.watch.read()
    agreed = judgement.judge(instance)
    records.note_drilled(instance, seconds=seconds)
    return Report(
        title=f"{instance.name} could be served from {instance.recovery}",
        facts={
            "databases that answered": ", ".join(served),
            "clone": copied,
            "promotion": promoted,
            "seconds from the promotion to Odoo answering": seconds,
            "database and files": agreed,
            "left behind": "nothing",
        },
    )


def _of_then(instance: OdooInstance, at: datetime) -> Report:
    with proof.noted(instance, at) as trial, scratch.opened(instance, at, kind="drill") as past:
        drill_steps.require_apart(past.stage)
        found = customers.odoo_databases(past.place)
        with viewing.files_of_then(past, found) as laid:
            drill_steps.start_odoo(past.stage)
            served = drill_steps.wait_until_serving(past.stage, found)
        trial.missing = laid.missing
    return Report(
        title=f"{instance.name} could be opened as it was at {past.when}",
        facts={
            "second that was opened": past.when,
            "databases that answered": ", ".join(served),
            "base backup": past.base,
            "newest commit in it": past.newest,
            "seconds until the copy was open": past.seconds,
            "files": str(laid),
            "left behind": "nothing",
        },
        documents=laid.documents,
    )
