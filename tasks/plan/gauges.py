"""What a plan reads of both ends, one question each."""

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from tasks.authority import exposure, stage
from tasks.postgres.observe import ClusterState, received
from tasks.postgres.wal import Lsn
from tasks.records import records
from tasks.records.commits import CommitNotice
from tasks.records.kinds import Failover
from tasks.records.loss import Exposure
from tasks.run.step import log
from tasks.standby import clone, rejoin, replication
from tasks.standby.way import Way
from tasks.synchronous import synchronous_state


def way(instance: OdooInstance, origin: ClusterState, *, reclone: bool = False) -> tuple[str, str]:
    """By which way the origin would rejoin, and why; raise Refused where there is none."""
    if reclone:
        chosen = Way("reclone", rejoin.ASKED)
        rejoin.require_room(instance, instance.origin, instance.recovery, chosen)
        return chosen.kind, chosen.why
    if origin.is_standby and streams(instance, back=True):
        return "follow", f"{instance.origin} follows {instance.recovery} already"
    chosen = rejoin.choose(instance, instance.origin, instance.recovery)
    rejoin.require_room(instance, instance.origin, instance.recovery, chosen)
    if chosen.kind == "reclone" and clone.wal_is(instance.origin) == "link":
        return chosen.kind, f"{chosen.why}; {instance.origin} {clone.WAL_LINK}"
    return chosen.kind, chosen.why


def streams(instance: OdooInstance, *, back: bool = False) -> bool:
    """Tell whether one end follows the other; not, where that cannot be seen."""
    ends = (instance.origin, instance.recovery) if back else (instance.recovery, instance.origin)
    try:
        return replication.is_streaming(instance, *ends)
    except RelevoError as error:
        log().warning("the stream of %s cannot be seen: %s", instance.name, error.message)
        return False


def notice(instance: OdooInstance, recovery: ClusterState) -> CommitNotice | None:
    """What the origin last said of its commits; it needs not be asked."""
    if instance.replication.synchronous == "off" or not recovery.is_standby:
        return None
    return synchronous_state.last_notice(instance).notice


def exposed(instance: OdooInstance, recovery: ClusterState) -> Exposure:
    """What a failover would lose now, or has lost."""
    begun = records.read(instance.recovery, instance, Failover)
    if begun is not None and stage.leader_is_down(instance):
        return begun.exposure
    if begun is not None and stage.is_stranded(instance):
        return exposure.since_handed_back(instance) or begun.exposure
    if not recovery.answers:
        return Exposure(lossless=False, seconds=None, about_bytes=None, last_commit="")
    return exposure.measure(instance, lossless=False)


def lag(
    instance: OdooInstance, recovery: ClusterState, *, leads: bool
) -> tuple[int | None, float | None]:
    """How far the standby is behind: bytes not replayed, and seconds since it last replayed."""
    if not recovery.is_standby:
        return None, None
    replayed, seconds = replication.replay(instance.recovery)
    if leads:
        origin = instance.origin
        sql = "SELECT pg_current_wal_lsn()"
        ahead = Lsn.parse(origin.cluster.value(origin.host.shell(), sql)) - replayed
    else:
        ahead = received(instance.recovery) - replayed
    if ahead <= 0:
        return 0, 0.0
    return ahead, seconds
