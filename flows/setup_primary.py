"""Runbook: "Configuración Clúster Principal para permitir la replicación"."""

from blocks.instance import OdooInstance
from tasks.host import lock
from tasks.logins import login
from tasks.postgres import boot, cluster_settings, hba
from tasks.readiness import ahead
from tasks.recovery import settling
from tasks.recovery.procedure import flow


@flow(name="setup-primary", flow_run_name="set up {instance.origin} as primary of {instance.name}")
def setup_primary(instance: OdooInstance, *, allow_restart: bool = True) -> None:
    """Configure the origin's PostgreSQL for replication and for pg_rewind.

    Before: the origin runs Odoo and PostgreSQL as Debian packages them.
    After: WAL is kept, the two roles exist with what they need, and only the recovery host may
    use them, over TLS. PostgreSQL is restarted only if a changed setting needs it.
    """
    with lock.held(instance, "setup-primary"):
        ahead.require_origin(instance, allow_restart=allow_restart)
        prepare(instance, allow_restart=allow_restart)


def prepare(instance: OdooInstance, *, allow_restart: bool) -> None:
    origin, recovery = instance.origin, instance.recovery

    settling.give_users(instance)
    cluster_settings.configure(instance, origin, allow_restart=allow_restart)
    boot.start_afresh(origin)
    login.create_roles(instance, origin)
    hba.admit(instance, origin, recovery)
    login.write_pgpass(instance, recovery, origin)
    login.write_pgpass(instance, origin, recovery)

    login.prove_login(instance, recovery, origin)
