"""What must hold before anything is touched. A guard that cannot tell refuses."""

from datetime import UTC, datetime
from typing import Literal

from blocks.errors import CommandFailed, Refused, Unreachable
from blocks.instance import OdooInstance, Place
from tasks import files, receipts, record, service, synchronous
from tasks.look import RECEIVED, Seen, look, try_look
from tasks.policy import log, step
from tasks.read.exposure import Exposure, Sample, kept
from tasks.read.lsn import Lsn

Stage = Literal["away", "handing over", "home"]


@step("require that {instance.recovery} can take over")
def require_ready_to_serve(instance: OdooInstance) -> None:
    """Refuse a failover that could not end with customers at work. Changes nothing."""
    require_ready(instance)


def require_ready(instance: OdooInstance) -> None:
    recovery = instance.recovery
    shell, seen = recovery.host.shell(), look(recovery)
    if seen.is_primary and record.read(recovery, instance, "failover") is None:
        raise Refused(
            f"the cluster of {instance.name} on {recovery} already accepts writes, and no "
            "failover of Relevo made it so",
            hint="find out who promoted it; if customers are served from there, failback is next",
        )
    if not seen.answers:
        raise Refused(
            f"the standby of {instance.name} on {recovery} is {seen}",
            hint=f"systemctl start {recovery.cluster.unit} there, and read its log",
        )
    if seen.is_standby:
        require_replay(recovery)
    _require_same_system(instance, seen)
    _require_built(instance)
    service.require_free_port(shell, instance)


def require_replay(standby: Place) -> None:
    """Refuse a standby whose replay is paused: it would not be promoted, or not with all it has."""
    shell = standby.host.shell()
    if standby.cluster.value(shell, "SELECT pg_is_wal_replay_paused()") == "t":
        raise Refused(
            f"replay is paused on {standby}",
            hint="SELECT pg_wal_replay_resume() there, if whoever paused it agrees",
        )


def _require_same_system(instance: OdooInstance, seen: Seen) -> None:
    """Refuse a cluster that is not the copy of the origin's that basebackup made."""
    known = record.read(instance.recovery, instance, "identity")
    control = seen.control
    if known is None or control is None:
        raise Refused(
            f"{instance.name} has not been replicated by Relevo on {instance.recovery}",
            hint="run replicate for this instance",
        )
    if known["system_identifier"] != control.system_identifier:
        raise Refused(
            f"the cluster on {instance.recovery} is {control.system_identifier}, not the copy "
            f"{known['system_identifier']} of the origin",
            hint="find out what was put there; replicate makes a new copy beside it",
        )


def _require_built(instance: OdooInstance) -> None:
    shell, recovery = instance.recovery.host.shell(), instance.recovery
    needed = (recovery.odoo.config, service.UNITS / recovery.odoo.unit, recovery.odoo.data_dir)
    if missing := files.missing(shell, *needed):
        raise Refused(
            f"{missing[0]} is missing on {recovery}: Odoo of {instance.name} was never built there",
            hint="run build-service for this instance (and rsync-filestore for its files)",
        )


@step("measure what {instance.name} would lose")
def measure_exposure(instance: OdooInstance, *, lossless: bool) -> Exposure:
    """Say, before the promotion, what had not been streamed when the origin was last heard of."""
    kept = record.read(instance.recovery, instance, "failover")
    if kept is not None and look(instance.recovery).is_primary:
        return Exposure.from_facts(kept["exposure"])
    if lossless:
        return Exposure.none()
    shell, cluster = instance.recovery.host.shell(), instance.recovery.cluster
    rows = cluster.query(
        shell,
        "SELECT extract(epoch FROM pg_last_xact_replay_timestamp()) AS commit, "
        "extract(epoch FROM now()) AS now, "
        "(SELECT latest_end_lsn FROM pg_stat_wal_receiver) AS sent, "
        f"{RECEIVED} AS received",
    )
    row = rows[0]
    has = Lsn.parse(str(row["received"] or "0/0"))
    told = Lsn.parse(str(row["sent"])) if row["sent"] else has
    asked = instance.replication.synchronous != "off"
    return Exposure.estimate(
        now=float(row["now"] or 0),
        last_commit=float(row["commit"]) if row["commit"] else None,
        received=has,
        known_lag=max(0, told - has),
        samples=_samples(instance),
        word=synchronous.holding(instance) if asked else None,
    )


def _samples(instance: OdooInstance) -> list[Sample]:
    kept = record.read(instance.recovery, instance, "link") or {"samples": []}
    return [Sample(at=float(at), written=Lsn.parse(lsn)) for at, lsn in kept["samples"]]


@step("measure the link of {instance.name}")
def sample_link(instance: OdooInstance) -> None:
    """Note how far the origin has written, so that a later failover can state its exposure."""
    origin = instance.origin
    try:
        sql = "SELECT extract(epoch FROM now()) AS at, pg_current_wal_lsn() AS lsn"
        row = origin.cluster.query(origin.host.shell(), sql)[0]
    except (Unreachable, CommandFailed) as error:
        log().warning("the link was not measured: %s", error.message)
        return
    new = Sample(at=float(row["at"] or 0), written=Lsn.parse(str(row["lsn"])))
    facts = [[each.at, str(each.written)] for each in kept(_samples(instance), new)]
    record.write(instance.recovery, instance, "link", {"samples": facts})


@step("require a yes to the exposure of {instance.name}")
def require_accepted(instance: OdooInstance, exposure: Exposure, *, loss_accepted: bool) -> None:
    """Refuse to lose anything that nobody has agreed to lose."""
    log().info("exposure of %s: %s", instance.name, exposure)
    if exposure.lossless or loss_accepted:
        return
    raise Refused(
        f"{instance.origin} does not answer (or stopped uncleanly); failing over now may lose: "
        f"{exposure}",
        hint="see by other means that it is down and stays down (power it off at the hoster), then "
        "run failover with origin_is_down and a reason",
    )


@step("note the failover of {instance.name}")
def note_failover(instance: OdooInstance, exposure: Exposure, *, reason: str) -> None:
    """Write down, before the promotion, what was known and why it is done."""
    begun = record.read(instance.recovery, instance, "failover") is not None
    if begun and look(instance.recovery).is_primary:
        return  # a run that never came to the promotion has left it: this one knows better
    _note(instance, exposure, reason)


def _note(instance: OdooInstance, exposure: Exposure, reason: str) -> None:
    facts = {
        "exposure": exposure.facts(),
        "reason": reason,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    record.write(instance.recovery, instance, "failover", facts)


@step("note that {instance.name} was moved by hand, if it was")
def note_move(instance: OdooInstance) -> None:
    """Write down a move that nobody has written down, so that a failback that dies can go on."""
    if record.read(instance.recovery, instance, "failover") is None:
        unknown = Exposure(lossless=False, seconds=None, about_bytes=None, last_commit="")
        _note(instance, unknown, "moved by hand")


@step("require that no move of {instance.name} is half done")
def require_ended(instance: OdooInstance) -> None:
    """Refuse to go on beside a move that died on its last steps: failback takes those."""
    if said := half_done(instance):
        raise Refused(said, hint="run failback, which goes on from there")


def half_done(instance: OdooInstance) -> str:
    """Say when the origin serves again, and what the move left open was never closed."""
    begun = record.read(instance.recovery, instance, "failover")
    if begun is None or look(instance.recovery).is_primary:
        return ""
    origin, known = try_look(instance.origin), receipts.newest(instance)
    if origin is None or not origin.is_primary or known is None or known.taker != "origin":
        return ""
    return f"the move of {instance.name} that was begun at {begun['time']} has never been ended"


@step("find out who serves {instance.name}")
def stage(instance: OdooInstance, *, at_a_loss: bool = False) -> Stage:
    """How far a failback has come, asked of both clusters; refuse when they make no sense."""
    return how_far(instance, at_a_loss=at_a_loss)


def how_far(instance: OdooInstance, *, at_a_loss: bool = False) -> Stage:
    """The same for a plan, where an answer that makes no sense is one more answer."""
    origin, recovery = try_look(instance.origin), look(instance.recovery)
    if origin is None:
        raise Unreachable(
            f"{instance.origin} does not answer: there is nowhere to fail back to",
            hint="run failback again when the server is up and reachable by ssh",
        )
    if recovery.is_primary:
        return "away"
    begun = record.read(instance.recovery, instance, "failover") is not None
    known = receipts.newest(instance)
    if origin.is_primary and begun and known and known.taker == "origin":
        return "home"
    stopped = at_a_loss or (recovery.control is not None and recovery.control.shut_down)
    if origin.is_standby and stopped and not recovery.online:
        return "handing over"
    raise Refused(
        f"{instance.name} is not served from the recovery host: {instance.origin} is {origin}, "
        f"{instance.recovery} is {recovery}",
        hint="failback is for an instance that was failed over; run check to see what is wrong",
    )
