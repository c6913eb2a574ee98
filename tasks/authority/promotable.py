"""Whether the standby on the recovery host could serve: one that cannot tell is refused."""

from blocks.errors import Refused
from blocks.instance import OdooInstance, Place
from tasks.authority import stage
from tasks.build import build
from tasks.host import files
from tasks.odoo import odoo_conf, service
from tasks.postgres.observe import ClusterState, observe, observe_if_reachable
from tasks.receipts import receipts
from tasks.records import records
from tasks.records.kinds import Failover, Identity
from tasks.run.step import log, step
from tasks.standby import limits


@step("require that {instance.recovery} can take over")
def require_ready_to_serve(instance: OdooInstance) -> None:
    """Refuse a failover that could not end with customers at work. Changes nothing."""
    require_ready(instance)


def require_ready(instance: OdooInstance) -> None:
    recovery = instance.recovery
    shell, state = recovery.host.shell(), observe(recovery)
    if state.is_primary and records.read(recovery, instance, Failover) is None:
        raise Refused(
            f"the cluster of {instance.name} on {recovery} already accepts writes, but no "
            "failover of Relevo promoted it",
            hint="find out who promoted it; if customers are served from there, run failback",
        )
    if state.is_primary and (origin := _origin_if_entitled(instance)):
        stage.require_not_overruled(instance, origin)
    if not state.answers:
        if sentence := stage.half_done(instance):
            raise Refused(sentence, hint="run failback, which goes on from there")
        _require_limits(state)
        state.require_asked()
        raise Refused(
            f"the standby of {instance.name} on {recovery} is {state}",
            hint=f"run systemctl start {recovery.cluster.unit} there, and read its log",
        )
    if state.is_standby:
        require_replay(recovery)
    _require_same_system(instance, state)
    _require_built(instance)
    conf = files.read(shell, recovery.odoo.config)
    service.require_free_port(shell, instance, workers=odoo_conf.workers(conf))


def _origin_if_entitled(instance: OdooInstance) -> ClusterState | None:
    """Ask an origin that may be dead only where the write right is its own."""
    known = receipts.ask(instance, ask_origin=False).newest
    if known is None or known.taker != "origin":
        return None
    return observe_if_reachable(instance.origin)


def require_replay(standby: Place) -> None:
    """Refuse a standby whose replay is paused: it would not be promoted, or not with all it has."""
    if limits.is_paused(standby):
        _require_limits(observe(standby))
        raise Refused(
            f"replay is paused on {standby}",
            hint="find out who paused it, and run SELECT pg_wal_replay_resume() there when they "
            "agree",
        )


def _require_limits(state: ClusterState) -> None:
    """Refuse a standby that lower limits than the other server's keep down, or paused.

    Resumed, it would stop.
    """
    if why := limits.why(state):
        raise Refused(why, hint=limits.HINT)


def _require_same_system(instance: OdooInstance, state: ClusterState) -> None:
    """Refuse a cluster that is not the copy of the origin's that basebackup made."""
    known = records.read(instance.recovery, instance, Identity)
    control = state.control
    if known is None or control is None:
        raise Refused(
            f"{instance.name} has not been replicated by Relevo on {instance.recovery}",
            hint="run replicate for this instance",
        )
    if known.system_identifier != control.system_identifier:
        raise Refused(
            f"the cluster on {instance.recovery} is {control.system_identifier}, not the copy "
            f"{known.system_identifier} of the origin",
            hint="find out what was put there; replicate makes a new copy beside it",
        )


def _require_built(instance: OdooInstance) -> None:
    recovery = instance.recovery
    if missing := files.missing(recovery.host.shell(), *build.needed(instance)):
        raise Refused(
            f"{missing[0]} is missing on {recovery}: Odoo of {instance.name} was never built there",
            hint="run build-service for this instance (and rsync-filestore for its files)",
        )
    for difference in build.differences(instance):  # a failover mends them: it needs no origin
        log().warning("%s", difference)
