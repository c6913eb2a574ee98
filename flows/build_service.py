"""Runbook: "odoo.conf", ".service" and the Python requirements, done before the disaster."""

from blocks.instance import OdooInstance
from tasks.build import build as odoo
from tasks.host import durable, lock
from tasks.logins import login
from tasks.records import records
from tasks.records.kinds import Verified
from tasks.recovery import door
from tasks.recovery.procedure import flow
from tasks.serving import site


@flow(name="build-service", flow_run_name="build Odoo of {instance.name} on {instance.recovery}")
def build_service(instance: OdooInstance) -> None:
    """Build what a failover of Odoo will need, and test it without touching a database.

    Before: the clone follows, and sources and requirements have been copied.
    After: odoo.conf, venv, unit and nginx site are ready, and every module that the customers have
    installed has been imported on the recovery host. A failover uses the previous build until all
    tests of the new one have passed.
    """
    with lock.held(instance, "build-service"):
        build(instance)


def build(instance: OdooInstance) -> None:
    odoo.render(instance)
    odoo.try_out(instance)
    odoo.put_in_place(instance)
    site.install(instance)

    with door.opened(instance):
        login.prove_login(instance, instance.origin, instance.recovery)
    durable.sync(instance.recovery)
    records.record_success(instance.recovery, instance, Verified)
