"""What a failover would lose: measured and agreed to before the promotion, never after."""

from datetime import datetime

from blocks.answers import understood
from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance
from tasks.postgres.observe import observe
from tasks.postgres.wal import Lsn
from tasks.receipts import receipts
from tasks.records import records
from tasks.records.kinds import Failover, Link
from tasks.records.loss import Exposure, Sample, kept, sentence
from tasks.run.moments import Clock
from tasks.run.step import log, step
from tasks.synchronous import synchronous_state

# Which transaction is the next: whether one has begun and ended since is seen by no clock.
RECEIVED = """
SELECT extract(epoch FROM pg_last_xact_replay_timestamp()) AS commit,
    extract(epoch FROM now()) AS now, txid_snapshot_xmax(txid_current_snapshot()) AS next_xid,
    (SELECT latest_end_lsn FROM pg_stat_wal_receiver) AS sent,
    greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS received
"""
WRITTEN = """
SELECT extract(epoch FROM now()) AS at, pg_current_wal_lsn() AS lsn,
    txid_snapshot_xmax(txid_current_snapshot()) AS next_xid
"""


@step("measure what {instance.name} would lose")
def measure(instance: OdooInstance, *, lossless: bool) -> Exposure:
    """Say, before the promotion, what had not been streamed when the origin was last heard of."""
    kept = records.read(instance.recovery, instance, Failover)
    if kept is not None and observe(instance.recovery).is_primary:
        return kept.exposure
    if lossless:
        return Exposure.none()
    shell, cluster = instance.recovery.host.shell(), instance.recovery.cluster
    row = cluster.query(shell, RECEIVED)[0]
    has = Lsn.parse(str(row["received"] or "0/0"))
    told = Lsn.parse(str(row["sent"])) if row["sent"] else has
    asked = instance.replication.synchronous != "off"
    estimated = Exposure.estimate(
        now=float(row["now"] or 0),
        last_commit=float(row["commit"]) if row["commit"] else None,
        received=has,
        known_lag=max(0, told - has),
        samples=_samples(instance),
        next_xid=int(row["next_xid"] or 0),
        notice=synchronous_state.notice_in_force(instance) if asked else None,
    )
    handed = since_handed_back(instance) if kept else None
    return handed if handed and _is_closer(handed, estimated) else estimated


def _is_closer(handed: Exposure, estimated: Exposure) -> bool:
    """Tell whether a hand-over home bounds a loss better than what was streamed, or sampled."""
    if estimated.synchronous or handed.seconds is None:
        return False
    return estimated.seconds is None or handed.seconds < estimated.seconds


def since_handed_back(instance: OdooInstance) -> Exposure | None:
    """What the origin may have written since a failback gave it the write right, if one has."""
    known = receipts.ask(instance, ask_origin=False).newest
    if known is None or known.taker != "origin":
        return None
    with understood(f"the receipt of {instance.name} of epoch {known.epoch}"):
        at = datetime.fromisoformat(known.time).timestamp()
        now = datetime.fromisoformat(records.now(instance.recovery.host.shell())).timestamp()
    return Exposure.estimate(now=now, last_commit=at, received=Lsn(0), known_lag=0, samples=[])


def describe(instance: OdooInstance, exposure: Exposure) -> str:
    """Say in a report, which is kept, what was lost at most."""
    return sentence(exposure, Clock(instance.timezone, dated=True), before="the failover")


def _samples(instance: OdooInstance) -> list[Sample]:
    known = records.read(instance.recovery, instance, Link)
    return list(known.samples) if known else []


@step("measure the replication link of {instance.name}")
def sample_link(instance: OdooInstance) -> None:
    """Note how far the origin has written, so that a later failover can state its exposure."""
    origin = instance.origin
    try:
        row = origin.cluster.query(origin.host.shell(), WRITTEN)[0]
    except (Unreachable, CommandFailed) as error:
        log().warning("the link was not measured: %s", error.message)
        return
    at, lsn, xid = float(row["at"] or 0), Lsn.parse(str(row["lsn"])), int(row["next_xid"] or 0)
    new = Sample(at, lsn, xid)
    samples = tuple(kept(_samples(instance), new))
    records.write(instance.recovery, instance, Link(samples=samples))


@step("require that the exposure of {instance.name} is accepted")
def require_accepted(instance: OdooInstance, exposure: Exposure, *, loss_accepted: bool) -> None:
    """Refuse to lose anything that nobody has agreed to lose."""
    log().info("exposure of %s: %s", instance.name, exposure)
    if exposure.lossless or loss_accepted or _is_promoted(instance):
        return
    raise Refused(
        f"{instance.origin} does not answer (or stopped uncleanly); failing over now may lose: "
        f"{exposure}",
        hint="confirm from another source that it is down and will stay down (power it off at the "
        "provider), then run failover with origin_is_down and a reason",
    )


def _is_promoted(instance: OdooInstance) -> bool:
    """Tell whether an earlier run has promoted with a receipt: what is lost was agreed to then."""
    known = receipts.ask(instance, ask_origin=False).newest
    promoted = known is not None and known.taker == "recovery"
    return promoted and observe(instance.recovery).is_primary
