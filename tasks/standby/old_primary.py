"""The old primary, on its way back."""

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.postgres import cluster_settings, hba
from tasks.postgres.observe import observe
from tasks.run.step import log, step
from tasks.standby import replication


@step("require that {place} serves")
def require_serving(place: Place) -> None:
    """Refuse to rejoin anything to a cluster that does not accept writes."""
    if wrong := not_serving(place):
        raise wrong


def not_serving(place: Place) -> Refused | None:
    """What speaks against a rejoin to this cluster."""
    state = observe(place)
    if state.is_primary:
        return None
    return Refused(
        f"PostgreSQL {place.cluster} on {place} is {state}, not primary: there is nothing to "
        "rejoin to",
        hint="run check for this instance; this procedure is for the time after a failover",
    )


@step("require that {instance.origin} does not follow yet")
def require_not_following(instance: OdooInstance) -> None:
    """Refuse a second pg_rewind of a node that follows already."""
    if wrong := following(instance):
        raise wrong


def following(instance: OdooInstance) -> Refused | None:
    """What speaks against a rewind of an origin that follows already."""
    if not replication.is_following(instance, instance.origin, instance.recovery):
        return None
    return Refused(
        f"{instance.origin} already follows {instance.recovery}: there is nothing to rewind",
        hint="run failback to hand the customers back",
    )


@step("check that {instance.origin} still has the settings of Relevo")
def refurnish(instance: OdooInstance) -> None:
    """Give a cluster that was made anew what setup-primary once gave to the one that was lost.

    Without it the origin would lead again, and the recovery host could not follow it.
    """
    origin, recovery = instance.origin, instance.recovery
    observe(origin)  # which says what to do where there is none
    shell, path = origin.host.shell(), cluster_settings.path(origin.cluster)
    if not files.exists(shell, path):
        log().warning("%s has no %s: it has a new cluster, which is set up again", origin, path)
        cluster_settings.require_included(origin)
        theirs = {
            **cluster_settings.in_force(recovery, cluster_settings.CURRENT),
            "listen_addresses": "localhost",
        }
        wanted = cluster_settings.wanted(instance, origin, theirs)
        cluster_settings.install(shell, origin.cluster, wanted)
    hba.admit(instance, origin, recovery)
