"""Is the replica of an instance ready to serve?"""

from prefect import flow

from blocks.errors import Refused
from blocks.instance import OdooInstance
from tasks import board, exposure, readiness
from tasks.report import Report, publish


@flow(name="check", flow_run_name="check {instance.name}")
def check(instance: OdooInstance) -> Report:
    """Say whether a failover of this instance would work now, and what speaks against it.

    Changes nothing and takes no lock. Fails when something is not as it should be, or when the
    instance is just being moved. Draws up the pages by which a failover and a failback can be done
    by hand, in English and Spanish.
    """
    board.require_idle(instance)
    exposure.sample_link(instance)
    found = readiness.measure(instance)
    board.write_pages(instance)

    report = publish(
        Report(title=f"{instance.name}: {'red' if found.wrong else 'green'}", facts=found.facts),
        key=f"check-{instance.name}",
    )
    if found.wrong:
        raise Refused(
            f"{instance.name} is not ready: {'; '.join(found.wrong)}", hint="see its report"
        )
    return report
