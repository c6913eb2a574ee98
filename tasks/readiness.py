"""What check measures, place by place."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from blocks.errors import RelevoError
from blocks.instance import OdooInstance, Place
from tasks import (
    filestore,
    guard,
    move,
    parity,
    receipts,
    replication,
    service,
    standby,
    synchronous,
)
from tasks.look import look, try_look
from tasks.policy import step
from tasks.read import parity as judge
from tasks.read.lsn import Lsn
from tasks.read.verdict import sentence

LEAST_FREE = 0.1
COMMITS = "commits wait"
# What a probe says; of several sentences, all but the first are remarks.
Said: TypeAlias = "str | list[str]"


@dataclass
class Found:
    """Facts for the report, what is wrong, and what should be mended in daylight."""

    facts: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)


@step("measure {instance.name}")
def measure(instance: OdooInstance) -> Found:
    """Measure an instance."""
    return probe(instance)


def probe(instance: OdooInstance) -> Found:
    found = Found()
    for name, ask in PROBES.items():
        try:
            said = ask(instance)
        except RelevoError as error:
            found.facts[name] = f"**{error.message}**"
            found.wrong.append(error.message)
            found.failed.add(name)
        else:
            found.facts[name] = "; ".join(said) if isinstance(said, list) else said
            found.remarks += said[1:] if isinstance(said, list) else []
    return found


def _roles(instance: OdooInstance) -> str:
    origin, recovery = try_look(instance.origin), look(instance.recovery)
    if not recovery.answers and move.leader_is_down(instance):
        raise RelevoError(
            f"customers were moved to {instance.recovery}, and its PostgreSQL is {recovery}: run "
            "failover, which starts it"
        )
    if origin is None:
        raise RelevoError(f"{instance.origin} does not answer")
    if origin.is_primary and recovery.is_primary:
        raise RelevoError(f"both {instance.origin} and {instance.recovery} accept writes")
    if not (origin.is_primary and recovery.is_standby):
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
    if look(origin).is_primary and look(recovery).is_standby:
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
    status = "wal_status" if origin.cluster.version >= 13 else "'unknown'"  # noqa: PLR2004
    rows = origin.cluster.query(
        origin.host.shell(),
        f"SELECT active, {status} AS status, "
        "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS kept "
        f"FROM pg_replication_slots WHERE slot_name = '{instance.name}'",
    )
    if not rows or rows[0]["status"] == "lost":
        raise RelevoError(f"the slot {instance.name} on {origin} is lost")
    strangers = recovery_slots(instance)
    if strangers:
        raise RelevoError(f"{instance.recovery} keeps WAL for slots of nobody: {strangers}")
    return f"{'active' if rows[0]['active'] else 'inactive'}, keeps {rows[0]['kept']} bytes of WAL"


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


def _serving(instance: OdooInstance) -> str:
    origin = instance.origin
    if look(origin).is_primary and not service.is_active(origin.host.shell(), origin.odoo.unit):
        raise RelevoError(
            f"{origin.odoo.unit} on {origin} is not running, so customers cannot work: start it "
            "there, or run failover"
        )
    return f"{origin.odoo.unit} runs on {origin}"


def _built(instance: OdooInstance) -> str:
    standby.require_ready(instance)
    return "odoo.conf, unit and files are there"


def _files(instance: OdooInstance) -> str:
    """Require that every database was read, and seen whole no longer ago than two passes."""
    verdicts = filestore.verdicts(instance)
    patience = 2 * instance.schedules.filestore_seconds
    origin = try_look(instance.origin)
    followed = origin is not None and origin.is_primary
    doubtful = [v for v in verdicts if v.is_doubtful(patience_seconds=patience, followed=followed)]
    if doubtful:
        raise RelevoError(f"documents may be without their files: {sentence(doubtful)}")
    return sentence(verdicts)


def _parity(instance: OdooInstance) -> list[str]:
    pair = parity.measure(instance)
    if wrong := judge.wrong(pair):
        raise RelevoError("; ".join(wrong))
    return [str(pair), *judge.remarks(pair)]


def _disk(place_of: Callable[[OdooInstance], Place]) -> Callable[[OdooInstance], str]:
    def probe(instance: OdooInstance) -> str:
        place = place_of(instance)
        argv = ("df", "--output=avail,size", "-B1", str(look(place).directory))
        free, size = map(int, place.host.shell().run(argv).stdout.split()[-2:])
        if free < LEAST_FREE * size:
            raise RelevoError(f"{place} has only {free >> 20} MB free for PostgreSQL")
        return f"{free >> 30} GB free"

    return probe


PROBES: dict[str, Callable[[OdooInstance], Said]] = {
    "roles": _roles,
    "moves": _moves,
    "stream": _stream,
    "slot": _slot,
    COMMITS: synchronous.measure,
    "guard": _guard,
    "receipts": _receipts,
    "parity": _parity,
    "Odoo at the origin": _serving,
    "service": _built,
    "files": _files,
    "disk at the origin": _disk(lambda instance: instance.origin),
    "disk at the recovery": _disk(lambda instance: instance.recovery),
}
