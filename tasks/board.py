"""The readiness of all instances, measured side by side.

As plain functions in threads: a task run for each would cost the server more than the measuring.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilterTags
from prefect.context import FlowRunContext

from blocks.errors import Busy, CommandFailed, RelevoError, Unreachable
from blocks.instance import OdooInstance
from blocks.shell import Shell
from tasks import (
    bare,
    events,
    exposure,
    files,
    journal,
    lock,
    plan,
    readiness,
    record,
    schedules,
    site,
    synchronous,
    telling,
)  # fmt: skip
from tasks.look import Seen, look, try_look
from tasks.policy import log, step
from tasks.read.board import Limits, Measured, alarms, verdict
from tasks.read.exposure import Exposure
from tasks.read.lsn import Lsn
from tasks.read.plan import SILENT, Procedure
from tasks.report import slug
from tasks.schedules import read_deployments
from tasks.tags import MANAGED
from tasks.text import board as words
from tasks.text import plan as pages
from tasks.text.board import Judged
from tasks.text.by_hand import Language

AT_ONCE = 16
HISTORY = 96
PAGES_MINUTES = 60
PROCEDURES: tuple[Procedure, ...] = ("failover", "failback")
LANGUAGES: tuple[Language, ...] = ("en", "es")
LEFT_WORD = ("notes/schedules", journal.NAME)
BUTTON = "flows/failover.py:failover"
CERTIFICATE = 'test -e "$1" && date -d "$(openssl x509 -enddate -noout -in "$1" | cut -d= -f2)" +%s'


@step("measure all instances")
def measure(instances: Sequence[OdooInstance], idle: Collection[str] = frozenset()) -> list[Judged]:
    """Measure and judge every instance; one that cannot be measured is red, and says why.

    `idle` names those whose schedules are off, which only a server knows.
    """
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(lambda each: _judge(each, idle=each.name in idle), instances))


def limits(instance: OdooInstance) -> Limits:
    said = instance.alarms
    return Limits(said.lag_mb << 20, said.lag_seconds, said.sync_minutes * 60)


def _judge(instance: OdooInstance, *, idle: bool) -> Judged:
    with bare.without_server():
        try:
            seen = replace(_measure(instance), idle=idle)
        except RelevoError as error:
            seen = _away(instance, error.message)
    return (seen, *verdict(seen, limits(instance)))


def _away(instance: OdooInstance, why: str) -> Measured:
    """Without the recovery host there is one thing that the origin knows: how its commits stand."""
    try:
        synchronous.at_origin(instance)
    except RelevoError as error:
        return Measured(instance.name, _now(), wrong=(why, error.message))
    return Measured(instance.name, _now(), wrong=(why,))


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _measure(instance: OdooInstance) -> Measured:
    shell, began = instance.recovery.host.shell(), _now()
    busy = _busy(instance)
    origin, recovery = try_look(instance.origin), look(instance.recovery)
    leads = bool(origin and origin.is_primary)
    if leads:
        exposure.sample_link(instance)
    status, kept_bytes, position = _slot(instance) if leads else ("", None, None)
    behind, seconds = _lag(instance, position) if recovery.is_standby else (None, None)
    found, proof = _probe(instance, recovery), record.proof(instance)
    if not busy:
        _refresh_pages(shell, instance)
        busy = _busy(instance)  # one that has begun meanwhile: half of this is of before
    return Measured(
        instance=instance.name,
        at=began,
        served="recovery" if recovery.is_primary else "origin" if leads else "",
        roles=f"{origin or 'silent'}/{recovery}",
        busy=busy,
        streaming=recovery.is_standby and position is not None,
        lag_bytes=behind,
        lag_seconds=seconds if behind else 0.0,
        slot=status,
        kept_bytes=kept_bytes,
        synced_at=record.stamped(instance.recovery, instance, "notes/synced"),
        verified_at=record.stamped(instance.recovery, instance, "notes/verified"),
        drilled_at=float(proof["at"]) if proof else None,
        certificate_days=_certificate_days(shell, instance),
        free_share=_free_share(shell, recovery),
        predicted_seconds=float(proof["seconds"]) if proof else None,
        origin_answers=origin is not None,
        handed_over=recovery.is_primary and not leads and _handed_over(instance),
        wrong=tuple(found.wrong),
        remarks=tuple(found.remarks),
        lags=_history(instance, behind),
        synchronous=_synchronous(instance, found) if leads else None,
        left_word=any(record.read(instance.recovery, instance, name) for name in LEFT_WORD),
    )


def _handed_over(instance: OdooInstance) -> bool:
    """Tell whether the move that is noted was one with the origin's help."""
    noted = record.read(instance.recovery, instance, "failover")
    return noted is not None and Exposure.from_facts(noted["exposure"]).lossless


def _probe(instance: OdooInstance, recovery: Seen) -> readiness.Found:
    if recovery.is_primary:
        return readiness.Found(wrong=["the recovery host serves"])
    return readiness.probe(instance)


def _synchronous(instance: OdooInstance, found: readiness.Found) -> bool | None:
    if instance.replication.synchronous == "off":
        return None
    return readiness.COMMITS not in found.failed


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
    status = "wal_status" if origin.cluster.version >= 13 else "'reserved'"  # noqa: PLR2004
    row = origin.cluster.query(
        origin.host.shell(),
        "SELECT pg_current_wal_lsn() AS now, s.* FROM (SELECT 1) AS one LEFT JOIN ("
        f"SELECT {status} AS status, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS kept "
        f"FROM pg_replication_slots WHERE slot_name = '{instance.name}') AS s ON true",
    )[0]
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


def _certificate_days(shell: Shell, instance: OdooInstance) -> int | None:
    if instance.certificate is None:
        return None
    path = str(site.certificate(instance))
    said = shell.run(("sh", "-c", CERTIFICATE, "certificate", path), check=False).stdout.strip()
    return int((float(said) - _now()) // 86400) if said else None


def _free_share(shell: Shell, recovery: Seen) -> float:
    argv = ("df", "--output=avail,size", "-B1", str(recovery.directory))
    free, size = map(int, shell.run(argv).stdout.split()[-2:])
    return free / size


def _history(instance: OdooInstance, behind: int | None) -> tuple[int, ...]:
    """The lag at the last boards, kept on the recovery host."""
    kept = list((record.read(instance.recovery, instance, "notes/lags") or {"lags": []})["lags"])
    if behind is not None:
        kept = [*kept, behind][-HISTORY:]
        record.write(instance.recovery, instance, "notes/lags", {"lags": kept})
    return tuple(kept)


@step("tell what has changed")
def tell(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> None:
    """Emit an event for each alarm that was not there before, and for each change of place."""
    for instance, (seen, _, _) in zip(instances, rows, strict=True):
        if not seen.roles or seen.busy:
            continue
        try:
            _tell(instance, seen)
        except (Unreachable, CommandFailed) as error:
            log().warning("%s", error.message)


def _tell(instance: OdooInstance, seen: Measured) -> None:
    now = alarms(seen, limits(instance))
    kept = record.read(instance.recovery, instance, "notes/told") or {}
    if kept.get("at", 0) > seen.at:
        return  # somebody has moved it and told so since it was measured
    for name, said in now.items():
        if name not in kept.get("alarms", []):
            telling.tell(instance.name, name, said)
    served = seen.served or kept.get("served", "")
    if kept.get("served") not in {None, served}:
        place = instance.recovery if served == "recovery" else instance.origin
        telling.tell(instance.name, events.SERVED, f"{instance.name} is served from {place} now")
    if served == "recovery":
        telling.tell(instance.name, events.RESTING, "the recovery host serves")
    facts = {**kept, "alarms": sorted(now), "served": served}
    if facts != kept:
        record.write(instance.recovery, instance, "notes/told", facts)


@step("publish the board")
def publish(rows: Sequence[Judged]) -> None:
    """Show one row per instance, the worst first."""
    text = words.table(rows, links=_links())
    log().info("%s", words.nagios(rows)[1])
    if FlowRunContext.get() is not None and not bare.alone():
        create_markdown_artifact(text, key="board", description=words.nagios(rows)[1])


def _links() -> dict[str, str]:
    """The page of each instance's failover button, within the UI."""
    with get_client(sync_client=True) as client:
        found = read_deployments(client, DeploymentFilterTags(all_=[MANAGED]))
    return {
        deployment.name: f"/v2/deployments/deployment/{deployment.id}"
        for deployment in found
        if deployment.entrypoint == BUTTON
    }


@step("do what runs without a server left to do")
def catch_up(instances: Sequence[OdooInstance], rows: Sequence[Judged]) -> None:
    """Switch the schedules, and show the runs, that a shell could only note."""
    for instance, (seen, _, _) in zip(instances, rows, strict=True):
        if seen.left_word and not seen.busy:
            schedules.catch_up(instance)
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
            if FlowRunContext.get() is not None and not bare.alone():
                key = slug(f"by-hand-{procedure}-{language}-{instance.name}")
                create_markdown_artifact(text, key=key, description=f"kept as {path}")
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
        if FlowRunContext.get() is not None and not bare.alone():
            key = slug(f"by-hand-recovery-is-gone-{language}-{instance.name}")
            create_markdown_artifact(text, key=key, description=f"kept at the origin as {path}")


def _refresh_pages(shell: Shell, instance: OdooInstance) -> None:
    """Draw the pages anew when they are old; it looks for the file of every document."""
    argv = ("find", str(by_hand(instance)), "-name", "*.md", "-mmin", f"-{PAGES_MINUTES}")
    if not shell.run(argv, check=False).stdout.strip():
        write_pages(instance)
