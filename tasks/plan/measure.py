"""What a change of place would do now, measured without changing anything."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from blocks.errors import RelevoError
from blocks.instance import OdooInstance, Place
from tasks.authority import demotion, fence, handover, keys, promotable, stage
from tasks.authority.situation import FORWARD, SILENT, Plan, Procedure, Situation
from tasks.filestore import documents
from tasks.plan import gauges, placeholders
from tasks.postgres.observe import (
    ClusterState,
    observe,
    observe_if_reachable,
    observe_or_why,
    unheard,
)
from tasks.readiness import at_home
from tasks.readiness.probes import Ends, Found
from tasks.records import records
from tasks.records.loss import Exposure
from tasks.recovery import users
from tasks.run.step import step
from tasks.standby import limits, old_primary

Origin: TypeAlias = ClusterState | None  # none where it does not answer


@step("draw up the {procedure} of {instance.name}")
def draw(
    instance: OdooInstance,
    procedure: Procedure,
    *,
    at_a_loss: bool = False,
    reclone: bool = False,
) -> Plan:
    """Measure both ends and say what would be done, and what would be refused.

    `at_a_loss`: a failback that takes the write right from a recovery host which cannot hand over.
    `reclone`: the origin is to be copied anew, whatever it has.
    """
    instance = users.as_found(instance)
    if procedure == "recovery is gone":
        return _recovery_is_gone(instance)
    (origin, why), recovery = observe_or_why(instance.origin), observe(instance.recovery)
    if procedure in HOMEWARD and (at_a_loss or reclone):
        found = HOMEWARD[procedure](
            instance, origin, recovery, at_a_loss=at_a_loss, reclone=reclone
        )
    else:
        found = MEASURES[procedure](instance, origin, recovery)
    lacking = _lacking(instance, procedure, Ends(origin, recovery), found.refusals)
    if procedure in FORWARD and _may_hand_over(origin, recovery, found):
        said = (
            f"PostgreSQL on {instance.origin} is down, but its host answers; leave origin_is_down "
            "off: Relevo starts it first, and it hands over with nothing lost"
        )
        lacking = (said, *lacking)
    found = replace(found, lacking=lacking)
    found = _with_documents(instance, recovery, found)
    if unknown := keys.objections(instance, origin_answers=origin is not None):
        found = replace(found, refusals=(*unknown, *found.refusals))
    if why:
        found = replace(found, shut_out=f"not known: {unheard(instance.origin, why)}")
    if procedure in FORWARD and (alive := fence.objection(instance.origin, why)):
        found = replace(found, refusals=(*found.refusals, f"{alive.message}: {alive.hint}"))
    return Plan(procedure, found, placeholders.names(instance), instance.timezone)


def _may_hand_over(origin: Origin, recovery: ClusterState, found: Situation) -> bool:
    """Tell whether the origin may still have what would be lost, and be started for that."""
    down = origin is not None and not (origin.online or origin.gone)
    return down and recovery.is_standby and not found.exposure.lossless


def _lacking(
    instance: OdooInstance, procedure: Procedure, ends: Ends, refusals: Sequence[str]
) -> tuple[str, ...]:
    """What this move needs and does not find, but for what it is refused for already.

    The move goes on without it: whoever says yes has to know.
    """
    if ends.recovery.is_primary or procedure not in ("failover", "switchover"):
        return ()
    found = Found()
    for need in at_home.NEEDS:
        answers = need.hosts == "recovery" or ends.origin is not None
        if procedure in need.moves and answers and not need.acts and need.when(ends):
            found.take(need.name, partial(need.ask, instance))
    said = " ".join(refusals)
    return tuple(f"{name}: {why}" for name, why in found.failed.items() if why not in said)


def _failover(instance: OdooInstance, origin: Origin, recovery: ClusterState) -> Situation:
    refusals: list[str] = []
    streaming = bool(origin and origin.is_primary and gauges.streams(instance))
    down = stage.leader_is_down(instance) or stage.is_stranded(instance)
    try:
        if not down:
            promotable.require_ready(instance)
    except RelevoError as error:
        # A forced failover raises the limits of a standby that lower ones hold up.
        if origin is not None or not limits.lower(recovery):
            refusals.append(error.message)
    if origin is not None and origin.is_primary and not streaming:
        refusals.append(
            f"{instance.origin} accepts writes and {instance.recovery} does not follow it"
        )
    lossless = streaming or _handed_over(instance, origin, recovery)
    lag_bytes, lag_seconds = gauges.lag(instance, recovery, leads=streaming)
    return Situation(
        at=records.now(instance.recovery.host.shell()),
        origin=str(origin or SILENT),
        recovery=str(recovery),
        streaming=streaming,
        exposure=Exposure.none() if lossless else gauges.exposed(instance, recovery),
        lag_bytes=lag_bytes,
        lag_seconds=lag_seconds,
        last_drill=last_drill(instance),
        predicted_seconds=predicted_seconds(instance),
        notice=gauges.notice(instance, recovery),
        leader_is_down=down,
        refusals=tuple(refusals),
    )


def _failback(
    instance: OdooInstance,
    origin: Origin,
    recovery: ClusterState,
    *,
    at_a_loss: bool = False,
    reclone: bool = False,
) -> Situation:
    refusals: list[str] = []
    way, why = "", ""
    try:
        reached = stage.how_far(instance, at_a_loss=at_a_loss)
        if reached == "failed over" and origin is not None and recovery.is_primary:
            way, why = gauges.way(instance, origin, reclone=reclone)
        if at_a_loss:
            way, why = "at a loss", demotion.given_up(instance.recovery, instance.origin)
    except RelevoError as error:
        refusals.append(error.message)
    return Situation(
        at=records.now(instance.recovery.host.shell()),
        origin=str(origin or SILENT),
        recovery=str(recovery),
        streaming=False,
        exposure=Exposure.none(),
        way=way,
        why=why,
        leader_is_down=stage.leader_is_down(instance),
        last_drill=last_drill(instance),
        refusals=tuple(refusals),
    )


def _pg_rewind(
    instance: OdooInstance,
    origin: Origin,
    recovery: ClusterState,
    *,
    at_a_loss: bool = False,
    reclone: bool = False,
) -> Situation:
    """What a failback would do first; it is refused where there is nothing to rejoin."""
    situation = _failback(instance, origin, recovery, at_a_loss=at_a_loss, reclone=reclone)
    if situation.refusals:
        return situation
    wrong = old_primary.not_serving(instance.recovery) or old_primary.following(instance)
    return replace(situation, refusals=(wrong.message,)) if wrong else situation


def _switchover(instance: OdooInstance, origin: Origin, recovery: ClusterState) -> Situation:
    refusals = _objections(instance, instance.origin, instance.recovery)
    leads = bool(origin and origin.is_primary)
    lag_bytes, lag_seconds = gauges.lag(instance, recovery, leads=leads)
    return Situation(
        at=records.now(instance.recovery.host.shell()),
        origin=str(origin or SILENT),
        recovery=str(recovery),
        streaming=not refusals,
        exposure=Exposure.none(),
        lag_bytes=lag_bytes,
        lag_seconds=lag_seconds,
        last_drill=last_drill(instance),
        predicted_seconds=predicted_seconds(instance),
        refusals=refusals,
    )


def _switchover_home(instance: OdooInstance, origin: Origin, recovery: ClusterState) -> Situation:
    refusals = _objections(instance, instance.recovery, instance.origin)
    return Situation(
        at=records.now(instance.recovery.host.shell()),
        origin=str(origin or SILENT),
        recovery=str(recovery),
        streaming=not refusals,
        exposure=Exposure.none(),
        last_drill=last_drill(instance),
        refusals=refusals,
    )


def _recovery_is_gone(instance: OdooInstance) -> Plan:
    """The way home without the recovery host, which is asked nothing: it may be gone now."""
    origin = observe_if_reachable(instance.origin)
    unknown = Exposure(lossless=False, seconds=None, about_bytes=None, last_commit="")
    situation = Situation(
        at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        origin=str(origin or SILENT),
        recovery=SILENT,
        streaming=False,
        exposure=unknown,
    )
    return Plan("recovery is gone", situation, placeholders.names(instance), instance.timezone)


def _objections(instance: OdooInstance, old: Place, new: Place) -> tuple[str, ...]:
    """What a planned move would be refused for; it is never forced."""
    try:
        return tuple(each.message for each in handover.objections(instance, old, new))
    except RelevoError as error:
        return (error.message,)


MEASURES: dict[Procedure, Callable[[OdooInstance, Origin, ClusterState], Situation]] = {
    "failover": _failover,
    "promote": _failover,
    "failback": _failback,
    "pg_rewind": _pg_rewind,
    "switchover": _switchover,
    "switchover home": _switchover_home,
}
HOMEWARD = {"failback": _failback, "pg_rewind": _pg_rewind}


def _handed_over(instance: OdooInstance, origin: Origin, recovery: ClusterState) -> bool:
    """Tell whether an earlier run got as far as to stop the origin, with nothing left to lose."""
    if origin is None or origin.gone or origin.answers or not recovery.is_standby:
        return False
    return demotion.stopped_whole(instance.origin, instance.recovery)


def _with_documents(
    instance: OdooInstance, recovery: ClusterState, situation: Situation
) -> Situation:
    """Count the documents whose file is missing; name what is not compared, or not copied."""
    if not recovery.answers:
        return situation
    found = documents.find_missing(instance, instance.recovery)
    unread = any(each.kind == "unread" for each in found)
    return replace(
        situation,
        documents=None if unread else sum(each.is_known for each in found),
        not_copied=tuple(str(each) for each in found if not each.is_known),
    )


def last_drill(instance: OdooInstance) -> str:
    """When the recovery host last served this instance, or its clone did in a drill."""
    kept = records.proof(instance)
    return f"{datetime.fromtimestamp(kept.at, UTC):%Y-%m-%d %H:%MZ}" if kept else ""


def predicted_seconds(instance: OdooInstance) -> float | None:
    """How long the last move to the recovery host, or drill, took: the best guess."""
    kept = records.proof(instance)
    return kept.seconds if kept else None
