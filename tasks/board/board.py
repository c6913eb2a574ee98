"""The readiness of all instances, measured side by side.

As plain functions in threads: a task run for each would cost the server more than the measuring.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from blocks.answers import understood
from blocks.errors import Busy, CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.patience import patience
from blocks.shell import Shell
from tasks.authority import exposure
from tasks.board import table, words
from tasks.board.alarms import Limits, Measured, verdict
from tasks.board.words import Judged
from tasks.host import lock
from tasks.notices import offline_runs, schedules
from tasks.postgres.observe import ClusterState
from tasks.postgres.wal import Lsn
from tasks.readiness import at_home
from tasks.readiness.probes import COMMITS, ODOO, ROLES, STREAM, Ends, Found, look_at_both
from tasks.records import records
from tasks.records.kinds import Failover, Lags, Runs, Schedules, Synced, Verified
from tasks.records.schema import Record
from tasks.recovery import users
from tasks.run import terminal
from tasks.run.desk import desk
from tasks.run.moments import Clock
from tasks.run.step import log, step
from tasks.serving import https
from tasks.standby import replication
from tasks.synchronous import synchronous_state  # fmt: skip

AT_ONCE = 16
MOST_SECONDS = 300  # for one instance; all wait for the slowest
HISTORY = 96
LEFT_WORD: tuple[type[Record], ...] = (Schedules, Runs)
# wal_status came with release 13.
SLOT = """
SELECT pg_current_wal_lsn() AS now, s.status, s.kept FROM (SELECT 1) AS one LEFT JOIN (
    SELECT coalesce(to_jsonb(r) ->> 'wal_status', 'reserved') AS status,
        pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS kept
    FROM pg_replication_slots r WHERE slot_name = $1) AS s ON true
"""


@step("measure all instances")
def measure(instances: Sequence[OdooInstance], idle: Collection[str] = frozenset()) -> list[Judged]:
    """Measure and judge every instance; one that cannot be measured is red, and says why.

    `idle` names those whose schedules are off, which only a server knows.
    """
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(lambda each: _judge(each, idle=each.name in idle), instances))


@step("measure {instance.name}")
def measure_one(instance: OdooInstance, *, idle: bool) -> Judged:
    """Measure and judge one instance as the board does."""
    return _judge(instance, idle=idle)


def limits(instance: OdooInstance) -> Limits:
    said = instance.alarms
    return Limits(said.lag_mb << 20, said.lag_seconds, said.sync_minutes * 60)


def _judge(instance: OdooInstance, *, idle: bool) -> Judged:
    with terminal.without_server():
        try:
            with patience(MOST_SECONDS), understood(f"a host's answer about {instance.name}"):
                measured = replace(_measure(users.as_found(instance)), idle=idle)
                return (measured, *verdict(measured, limits(instance)))
        except RelevoError as error:
            measured = _away(instance, error.message)
    return (measured, *verdict(measured, limits(instance)))


def unread(name: str, why: RelevoError) -> Judged:
    """Show an instance that cannot be read: it is red, and nothing more is known of it."""
    said = f"{why.message}: {why.hint}"
    return Measured(name, _now(), wrong=(said,)), "red", [said]


def _away(instance: OdooInstance, why: str) -> Measured:
    """Without the recovery host there is one thing that the origin knows: how its commits stand."""
    measured = Measured(instance.name, _now(), wrong=(why,))
    if instance.replication.synchronous == "off":
        return measured
    try:
        synchronous_state.at_origin(instance)
    except (Unreachable, CommandFailed, Refused) as error:
        return replace(measured, wrong=(why, error.message))
    except RelevoError as error:
        known = None if synchronous_state.follows(instance) else False
        return replace(measured, wrong=(why, error.message), synchronous=known)
    return replace(measured, synchronous=True)


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _measure(instance: OdooInstance) -> Measured:
    shell, began = instance.recovery.host.shell(), _now()
    busy = lock.under_way(instance)
    ends = look_at_both(instance)
    leads, recovery = ends.leads, ends.recovery
    if leads:
        exposure.sample_link(instance)
    status, kept_bytes, position = _slot(instance) if leads else ("", None, None)
    behind, seconds = _lag(instance, position) if recovery.is_standby else (None, None)
    found, proof = at_home.probe(instance, ends), records.proof(instance)
    # One that has begun meanwhile: half of this is of before.
    busy = busy or lock.under_way(instance)
    return Measured(
        instance=instance.name,
        at=began,
        served=ends.served,
        roles=str(ends),
        busy=busy,
        streaming=found.is_good(STREAM),
        lag_bytes=behind,
        lag_seconds=seconds if behind else 0.0,
        slot=status,
        kept_bytes=kept_bytes,
        synced_at=records.last_success(instance.recovery, instance, Synced),
        verified_at=records.last_success(instance.recovery, instance, Verified),
        drilled_at=proof.at if proof else None,
        certificate_days=https.days_left(instance),
        free_share=_free_share(shell, recovery),
        predicted_seconds=proof.seconds if proof else None,
        origin_answers=ends.origin is not None,
        handed_over=ends.served == "recovery" and _handed_over(instance),
        two_writers=found.failed[ROLES] if ends.served == "both" else "",
        nobody_works=_nobody_works(ends, found),
        facts=found.facts,
        wrong=tuple(found.wrong),
        remarks=tuple(found.remarks),
        lags=_history(instance, behind),
        synchronous=_synchronous(instance, found) if leads else None,
        left_word=any(records.read(instance.recovery, instance, kind) for kind in LEFT_WORD),
    )


def _nobody_works(ends: Ends, found: Found) -> str:
    """Why no customer can work: nobody accepts writes, or where they are, Odoo does not run."""
    if not ends.served:
        return found.failed[ROLES]
    return "" if ends.served == "both" else found.failed.get(ODOO[ends.served], "")


def _handed_over(instance: OdooInstance) -> bool:
    """Tell whether the move that is noted was one with the origin's help."""
    noted = records.read(instance.recovery, instance, Failover)
    return noted is not None and noted.exposure.lossless


def _synchronous(instance: OdooInstance, found: Found) -> bool | None:
    if instance.replication.synchronous == "off":
        return None
    return COMMITS not in found.failed


@step("require that {instance.name} is not being moved")
def require_idle(instance: OdooInstance) -> None:
    """Refuse to judge an instance that is being moved: half of it would be of before."""
    if procedure := lock.under_way(instance):
        raise Busy(
            f"{instance.name} is in the middle of {procedure}",
            hint="check it again when that has ended",
        )


def _slot(instance: OdooInstance) -> tuple[str, int | None, Lsn]:
    origin = instance.origin
    row = origin.cluster.query(origin.host.shell(), SLOT, instance.name)[0]
    kept = int(row["kept"]) if row["kept"] is not None else None
    return str(row["status"] or "lost"), kept, Lsn.parse(str(row["now"]))


def _lag(instance: OdooInstance, position: Lsn | None) -> tuple[int | None, float | None]:
    replayed, seconds = replication.replay(instance.recovery)
    return None if position is None else max(0, position - replayed), seconds


def _free_share(shell: Shell, recovery: ClusterState) -> float:
    argv = ("df", "--output=avail,size", "-B1", str(recovery.directory))
    free, size = map(int, shell.run(argv).stdout.split()[-2:])
    return free / size


def _history(instance: OdooInstance, behind: int | None) -> tuple[int, ...]:
    """The lag at the last boards, kept on the recovery host."""
    kept = (records.read(instance.recovery, instance, Lags) or Lags()).lags
    if behind is not None:
        kept = (*kept, behind)[-HISTORY:]
        records.write(instance.recovery, instance, Lags(lags=kept))
    return kept


def at_rest(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> list[OdooInstance]:
    """Name those that were measured, and are not being moved."""
    pairs = zip(instances, rows, strict=True)
    return [
        instance for instance, (measured, _, _) in pairs if measured.roles and not measured.busy
    ]


@step("publish the board")
def publish(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> None:
    """Show what needs somebody, the worst first, and what is ready; log it in one line."""
    log().info("%s", words.nagios(rows)[1])
    clock = Clock(instances[0].timezone if instances else "UTC", dated=True)
    pressed = {measured.instance for measured, colour, _ in rows if colour != "green"}
    links = desk().links([each.name for each in instances], pressed=pressed)
    text = table.page(rows, links=links, clock=clock)
    desk().show(text, key="board", title=table.headline(rows))


@step("do what runs without a server left to do")
def catch_up(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> None:
    """Switch the schedules, and show the runs, that a shell could only note."""
    for instance, (measured, _, _) in zip(instances, rows, strict=True):
        if not measured.left_word or measured.busy:
            continue
        if measured.served in {"origin", "recovery"}:
            schedules.catch_up(instance, on=measured.served == "origin")
        offline_runs.bring(instance)
