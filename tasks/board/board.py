"""The readiness of all instances, measured side by side.

As plain functions in threads: a task run for each would cost the server more than the measuring.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

from blocks.answers import understood
from blocks.errors import Busy, CommandFailed, Refused, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks.authority import exposure
from tasks.authority.situation import SILENT, Procedure
from tasks.board import words
from tasks.board.alarms import Limits, Measured, Told, alarms, verdict
from tasks.board.words import Judged
from tasks.byhand.by_hand_step import Language
from tasks.host import files, lock
from tasks.notices import events, journal, schedules, telling
from tasks.plan import measure as plan
from tasks.plan import words as pages
from tasks.postgres.look import Seen
from tasks.postgres.wal import Lsn
from tasks.readiness import at_home
from tasks.readiness.probes import COMMITS, ODOO, ROLES, STREAM, Ends, Found, look_at_both
from tasks.records import record, records
from tasks.records.records import Failover, Lags, Runs, Schedules, Synced, ToldAway, Verified
from tasks.records.schema import Record
from tasks.recovery import users
from tasks.run import terminal
from tasks.run.desk import desk
from tasks.run.report import slug
from tasks.run.step import log, step
from tasks.serving import https
from tasks.synchronous import synchronous  # fmt: skip

AT_ONCE = 16
HISTORY = 96
PAGES_MINUTES = 60
PROCEDURES: tuple[Procedure, ...] = ("failover", "failback")
LANGUAGES: tuple[Language, ...] = ("en", "es")
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
            with understood(f"a host's answer about {instance.name}"):
                seen = replace(_measure(users.as_found(instance)), idle=idle)
        except RelevoError as error:
            seen = _away(instance, error.message)
    return (seen, *verdict(seen, limits(instance)))


def _away(instance: OdooInstance, why: str) -> Measured:
    """Without the recovery host there is one thing that the origin knows: how its commits stand."""
    seen = Measured(instance.name, _now(), wrong=(why,))
    if instance.replication.synchronous == "off":
        return seen
    try:
        synchronous.at_origin(instance)
    except (Unreachable, CommandFailed, Refused) as error:
        return replace(seen, wrong=(why, error.message))
    except RelevoError as error:
        known = None if synchronous.follows(instance) else False
        return replace(seen, wrong=(why, error.message), synchronous=known)
    return replace(seen, synchronous=True)


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _measure(instance: OdooInstance) -> Measured:
    shell, began = instance.recovery.host.shell(), _now()
    busy = _busy(instance)
    ends = look_at_both(instance)
    leads, recovery = ends.leads, ends.recovery
    if leads:
        exposure.sample_link(instance)
    status, kept_bytes, position = _slot(instance) if leads else ("", None, None)
    behind, seconds = _lag(instance, position) if recovery.is_standby else (None, None)
    found, proof = at_home.probe(instance, ends), record.proof(instance)
    if not busy:
        _refresh_pages(shell, instance)
        busy = _busy(instance)  # one that has begun meanwhile: half of this is of before
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
        synced_at=record.stamped(instance.recovery, instance, Synced),
        verified_at=record.stamped(instance.recovery, instance, Verified),
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
        left_word=any(record.read(instance.recovery, instance, kind) for kind in LEFT_WORD),
    )


def _nobody_works(ends: Ends, found: Found) -> str:
    """Why no customer can work: nobody accepts writes, or where they are, Odoo does not run."""
    if not ends.served:
        return found.failed[ROLES]
    return "" if ends.served == "both" else found.failed.get(ODOO[ends.served], "")


def _handed_over(instance: OdooInstance) -> bool:
    """Tell whether the move that is noted was one with the origin's help."""
    noted = record.read(instance.recovery, instance, Failover)
    return noted is not None and noted.exposure.lossless


def _synchronous(instance: OdooInstance, found: Found) -> bool | None:
    if instance.replication.synchronous == "off":
        return None
    return COMMITS not in found.failed


@step("require that {instance.name} is not being moved")
def require_idle(instance: OdooInstance) -> None:
    """Refuse to judge an instance that is being moved: half of it would be of before."""
    if procedure := _busy(instance):
        raise Busy(
            f"{instance.name} is in the middle of {procedure}",
            hint="check it again when that has ended",
        )


def _busy(instance: OdooInstance) -> str:
    """Which procedure is under way; what gives way to one does not count."""
    holder = lock.holder(instance)
    return "" if holder in lock.YIELDING else holder


def _slot(instance: OdooInstance) -> tuple[str, int | None, Lsn]:
    origin = instance.origin
    row = origin.cluster.query(origin.host.shell(), SLOT, instance.name)[0]
    kept = int(row["kept"]) if row["kept"] is not None else None
    return str(row["status"] or "lost"), kept, Lsn.parse(str(row["now"]))


def _lag(instance: OdooInstance, position: Lsn | None) -> tuple[int | None, float | None]:
    recovery = instance.recovery
    row = recovery.cluster.query(
        recovery.host.shell(),
        "SELECT pg_last_wal_replay_lsn() AS replayed, "
        "extract(epoch FROM now() - pg_last_xact_replay_timestamp()) AS seconds",
    )[0]
    seconds = float(row["seconds"]) if row["seconds"] is not None else None
    if position is None:
        return None, seconds
    return max(0, position - Lsn.parse(str(row["replayed"]))), seconds


def _free_share(shell: Shell, recovery: Seen) -> float:
    argv = ("df", "--output=avail,size", "-B1", str(recovery.directory))
    free, size = map(int, shell.run(argv).stdout.split()[-2:])
    return free / size


def _history(instance: OdooInstance, behind: int | None) -> tuple[int, ...]:
    """The lag at the last boards, kept on the recovery host."""
    kept = (record.read(instance.recovery, instance, Lags) or Lags()).lags
    if behind is not None:
        kept = (*kept, behind)[-HISTORY:]
        record.write(instance.recovery, instance, Lags(lags=kept))
    return kept


@step("tell what has changed")
def tell(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> None:
    """Emit an event for each alarm that was not there before, and for each change of place."""
    for instance, (seen, _, _) in zip(instances, rows, strict=True):
        if seen.busy:
            if seen.served == "recovery":
                telling.tell(instance.name, events.RESTING, "the recovery host serves")
            continue
        try:
            if seen.roles:
                _tell(instance, seen)
            elif seen.synchronous is not None:
                _tell_away(instance, seen)
        except (Unreachable, CommandFailed, Refused) as error:
            log().warning("%s", error.message)


def _tell(instance: OdooInstance, seen: Measured) -> None:
    kept = record.read(instance.recovery, instance, records.Told) or records.Told()
    if (kept.at or 0) > seen.at:
        return  # somebody has moved it and told so since it was measured
    told = Told(kept.alarms, kept.seen)
    if seen.synchronous is not None:
        told = replace(told, alarms=(*told.alarms, *_take_over(instance)))
    told = _tell_new(instance, seen, told)
    served = kept.served or ""
    place = served if seen.two_writers else seen.served or served
    if kept.served not in {None, place}:
        named = instance.recovery if place == "recovery" else instance.origin
        telling.tell(instance.name, events.SERVED, f"{instance.name} is served from {named} now")
    if place == "recovery":
        telling.tell(instance.name, events.RESTING, "the recovery host serves")
    after = replace(kept, alarms=told.alarms, seen=told.seen, served=place)
    if after != kept:
        record.write(instance.recovery, instance, after)


def _tell_new(instance: OdooInstance, seen: Measured, told: Told) -> Told:
    """Tell what has not been told yet; give what is to be kept of it."""
    now = alarms(seen, limits(instance))
    told, due = told.after(now)
    for name in due:
        telling.tell(instance.name, name, now[name])
    return told


def _tell_away(instance: OdooInstance, seen: Measured) -> None:
    """Tell what only the origin knows, which keeps the note of it meanwhile."""
    kept = record.read(instance.origin, instance, ToldAway) or ToldAway()
    told = Told(kept.alarms, kept.seen)
    after = _tell_new(instance, seen, told)
    if after != told:
        noted = ToldAway(alarms=after.alarms, seen=after.seen)
        record.write(instance.origin, instance, noted)


def _take_over(instance: OdooInstance) -> tuple[str, ...]:
    """What was told while the recovery host was away; from now on that one keeps it."""
    kept = record.read(instance.origin, instance, ToldAway)
    if kept is None:
        return ()
    record.forget(instance.origin, instance, ToldAway)
    return kept.alarms


@step("publish the board")
def publish(rows: Sequence[Judged]) -> None:
    """Show one row per instance, the worst first."""
    said = words.nagios(rows)[1]
    log().info("%s", said)
    desk().show(words.table(rows, links=desk().links()), key="board", title=said)


@step("do what runs without a server left to do")
def catch_up(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> None:
    """Switch the schedules, and show the runs, that a shell could only note."""
    for instance, (seen, _, _) in zip(instances, rows, strict=True):
        if not seen.left_word or seen.busy:
            continue
        if seen.served in {"origin", "recovery"}:
            schedules.catch_up(instance, on=seen.served == "origin")
        journal.bring(instance)


@step("write the pages to be followed by hand of {instance.name}")
def write_pages(instance: OdooInstance) -> None:
    """Keep the procedures, in both languages, where they are when nothing else is."""
    shell = instance.recovery.host.shell()
    for procedure in PROCEDURES:
        drawn = plan.draw(instance, procedure)
        for language in LANGUAGES:
            text = pages.page(drawn, language)
            path = by_hand(instance) / f"{procedure}.{language}.md"
            files.install(shell, path, text)
            key = slug(f"by-hand-{procedure}-{language}-{instance.name}")
            desk().show(text, key=key, title=f"kept as {path}")
    _write_at_origin(instance)


def by_hand(instance: OdooInstance) -> PurePosixPath:
    return files.STATE / instance.name / "by-hand"


def _write_at_origin(instance: OdooInstance) -> None:
    """Keep the page for a night without the recovery host at the origin, if that one answers."""
    drawn = plan.draw(instance, "recovery is gone")
    for language in LANGUAGES:
        text = pages.page(drawn, language)
        path = by_hand(instance) / f"recovery-is-gone.{language}.md"
        if drawn.situation.origin != SILENT:
            try:
                files.install(instance.origin.host.shell(), path, text)
            except (Unreachable, CommandFailed) as error:
                log().warning("%s is not kept at %s: %s", path, instance.origin, error.message)
        key = slug(f"by-hand-recovery-is-gone-{language}-{instance.name}")
        desk().show(text, key=key, title=f"kept at the origin as {path}")


def _refresh_pages(shell: Shell, instance: OdooInstance) -> None:
    """Draw the pages anew when they are old; it looks for the file of every document.

    Pages that cannot be drawn take nothing away from what was measured.
    """
    argv = ("find", str(by_hand(instance)), "-name", "*.md", "-mmin", f"-{PAGES_MINUTES}")
    if not shell.run(argv, check=False).stdout.strip():
        try:
            write_pages(instance)
        except RelevoError as error:
            log().warning("the pages of %s were not drawn: %s", instance.name, error.message)
