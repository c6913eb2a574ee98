"""Runbook: "Failover" to "Pasos Finales del Failover"."""

from prefect import flow

from blocks.instance import OdooInstance
from flows.promote import take_over
from tasks import dns, filestore, lock, service
from tasks.report import Report, publish
from tasks.timing import Stopwatch


@flow(name="failover", flow_run_name="fail {instance.name} over to {instance.recovery}")
def failover(instance: OdooInstance, *, origin_is_down: bool = False, reason: str = "") -> Report:
    """Serve an instance's customers from the recovery host.

    An origin that answers is stopped cleanly first, and nothing is lost. One that does not answer
    may still be alive: see by other means that it is down and stays down, tick origin_is_down and
    give a reason. Without that this run changes nothing and says what would be lost.

    After: PostgreSQL accepts writes here, Odoo answers for every database, nginx and DNS show it,
    and the report names what may be lost and each document whose file is missing.
    """
    recovery, watch = instance.recovery, Stopwatch()

    with lock.held(instance, "failover", preempt=True):
        exposure = take_over(instance, origin_is_down=origin_is_down, reason=reason)

        service.start(recovery)
        served = service.wait_until_serving(recovery)
        served_after = watch.read()

        service.enable_site(instance)
        names = dns.point(instance, recovery)
        agreed = filestore.judge(instance)
        missing = filestore.find_missing(instance, recovery)

    report = publish(
        Report(
            title=f"{instance.name} is served from {recovery}",
            facts={
                "databases that answer": ", ".join(served),
                "may be lost": str(exposure),
                "database and files": agreed,
                "seconds from the button to Odoo answering": served_after,
                "domains": names,
                "reason given": reason or "none was needed: nothing is lost",
                "next": f"keep {instance.origin} from serving; when it is repaired, run failback",
            },
            documents=missing,
        ),
        key=f"failover-{instance.name}",
    )
    dns.require_pointed(instance, recovery, said=names)
    return report
