"""Is the replica of an instance ready to serve?"""

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks.board import board
from tasks.notices import schedules
from tasks.plan import pages
from tasks.recovery.procedure import flow
from tasks.run.report import Report, publish

NOTHING = "nothing prevents a failover"


@flow(name="check", flow_run_name="check {instance.name}")
def check(instance: OdooInstance) -> Report:
    """Say whether a failover of this instance would work now, and what prevents it.

    Measures and judges as the board does. Changes nothing and takes no lock. Fails when the result
    is red, or while a procedure moves the instance; fix what is amber by day. Writes the pages for
    a failover and a failback by hand, in English and Spanish.
    """
    board.require_idle(instance)
    pages.write(instance)
    idle = schedules.idle([instance])
    measured, colour, why = board.measure_one(instance, idle=instance.name in idle)

    report = publish(
        Report(
            title=f"{instance.name}: {colour}",
            facts={"why": "; ".join(why) or NOTHING, **measured.facts},
        ),
        key=f"check-{instance.name}",
    )
    if colour == "red":
        raise Refused(f"{instance.name} is not ready: {'; '.join(why)}", hint="read its report")
    return report
