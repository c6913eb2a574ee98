"""What check measures, place by place."""

from functools import partial

from blocks.errors import RelevoError
from blocks.instance import OdooInstance
from tasks import (
    away,
    door,
    follower,
    guard,
    keys,
    move,
    parity,
    receipts,
    replication,
    standby,
    synchronous,
    users,
)
from tasks import probes as need
from tasks.look import look
from tasks.probes import COMMITS, NOT_MEASURED, ODOO, ROLES, STREAM, Ends, Found, Probe, disk, odoo
from tasks.read import parity as judge
from tasks.read.lsn import Lsn

# wal_status came with release 13.
SLOT = """
SELECT active, coalesce(to_jsonb(s) ->> 'wal_status', 'unknown') AS status,
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS kept
FROM pg_replication_slots s WHERE slot_name = $1
"""


def probe(instance: OdooInstance, ends: Ends) -> Found:
    """Ask all that makes sense: what a cluster that is down cannot say is no finding."""
    found, is_away = Found(), ends.recovery.is_primary
    found.take(ROLES, partial(away.roles if is_away else _roles, instance, ends))
    for name, each in (away.AWAY if is_away else PROBES).items():
        if each.needs(ends):
            found.take(name, partial(each.ask, instance))
        else:
            found.facts[name] = NOT_MEASURED
    return found


def _roles(instance: OdooInstance, ends: Ends) -> str:
    origin, recovery = ends.origin, ends.recovery
    if not recovery.answers and move.leader_is_down(instance):
        raise RelevoError(
            f"customers were moved to {instance.recovery}, and its PostgreSQL is {recovery}: run "
            "failover, which starts it"
        )
    if origin is None:
        raise RelevoError(f"{instance.origin} does not answer")
    if not need.both(ends):
        raise RelevoError(
            f"{instance.origin} is {origin} and {instance.recovery} is {recovery}, where primary "
            "and standby are usual"
        )
    return f"{instance.origin} is primary, {instance.recovery} is standby"


def _moves(instance: OdooInstance) -> str:
    if said := move.half_done(instance):
        raise RelevoError(f"{said}: run failback, which goes on from there")
    return "none under way"


def _stream(instance: OdooInstance) -> str:
    origin, recovery = instance.origin, instance.recovery
    replication.require_no_fork(recovery, origin)
    if not replication.is_streaming(instance, recovery, origin):
        raise RelevoError(f"{recovery} does not stream from {origin}")
    standby.require_replay(recovery)
    sql = "SELECT pg_last_wal_replay_lsn()"
    replayed = Lsn.parse(recovery.cluster.value(recovery.host.shell(), sql))
    now = Lsn.parse(origin.cluster.value(origin.host.shell(), "SELECT pg_current_wal_lsn()"))
    return f"streaming, {max(0, now - replayed)} bytes behind"


def _slot(instance: OdooInstance) -> str:
    origin = instance.origin
    rows = origin.cluster.query(origin.host.shell(), SLOT, instance.name)
    if not rows or rows[0]["status"] == "lost":
        raise RelevoError(f"the slot {instance.name} on {origin} is lost")
    strangers = recovery_slots(instance)
    if strangers:
        raise RelevoError(f"{instance.recovery} keeps WAL for slots of nobody: {strangers}")
    return f"{'active' if rows[0]['active'] else 'inactive'}, keeps {rows[0]['kept']} bytes of WAL"


def _commits(instance: OdooInstance) -> str:
    """What the origin says of its commits; the other end's part where its PostgreSQL answers."""
    if look(instance.recovery).answers:
        return synchronous.measure(instance)
    return synchronous.at_origin(instance)


def _guard(instance: OdooInstance) -> str:
    if sentence := guard.held(instance):
        raise RelevoError(sentence)
    known = guard.require_answered(instance)
    return f"{instance.origin} asks {instance.recovery}: epoch {known['epoch']}, {known['taker']}"


def _receipts(instance: OdooInstance) -> str:
    kept = [receipts.history(instance, place) for place in (instance.origin, instance.recovery)]
    if kept[0] != kept[1]:
        raise RelevoError(
            f"{instance.origin} and {instance.recovery} keep different receipts of {instance.name}"
        )
    return str(kept[0][-1]) if kept[0] else "none yet"


def recovery_slots(instance: OdooInstance) -> str:
    """Slots on a standby that nobody reads from."""
    recovery = instance.recovery
    sql = "SELECT slot_name FROM pg_replication_slots WHERE NOT active"
    rows = recovery.cluster.query(recovery.host.shell(), sql)
    return ", ".join(str(row["slot_name"]) for row in rows)


def _built(instance: OdooInstance) -> str:
    standby.require_ready(instance)
    return "odoo.conf, unit and files are there"


def _parity(instance: OdooInstance) -> list[str]:
    pair = parity.measure(instance)
    if wrong := judge.wrong(pair):
        raise RelevoError("; ".join(wrong))
    return [str(pair), *judge.remarks(pair)]


PROBES: dict[str, Probe] = {
    "moves": Probe(_moves),
    "users": Probe(users.judge),
    "door": Probe(door.judge, need.both),
    "signing key": Probe(keys.measure),
    STREAM: Probe(_stream, need.both),
    "slot": Probe(_slot, need.both),
    COMMITS: Probe(_commits, need.primary),
    "guard": Probe(_guard, need.origin_host),
    "receipts": Probe(_receipts, need.origin_host),
    "parity": Probe(_parity, need.both),
    ODOO["origin"]: Probe(odoo(lambda instance: instance.origin), need.primary),
    "service": Probe(_built, need.standby),
    "files": Probe(need.files, need.standby),
    "follower": Probe(follower.judge, need.both),
    "disk at the origin": Probe(disk(lambda instance: instance.origin), need.origin_host),
    "disk at the recovery": Probe(disk(lambda instance: instance.recovery)),
}
