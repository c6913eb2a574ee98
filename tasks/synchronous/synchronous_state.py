"""Do commits wait: what the origin says of itself, and what the recovery host has read of it."""

import contextlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks import answers
from blocks.errors import CommandFailed, RelevoError
from blocks.instance import OdooInstance, Place
from tasks.host import files
from tasks.host.files import STATE
from tasks.postgres import cluster, cluster_settings
from tasks.records import commits as reading
from tasks.records.commits import CommitNotice
from tasks.run.step import step
from tasks.run.wait import until

BEGIN_SECONDS = 20
CHECKPOINT_SECONDS = 120
REPLAY_SECONDS = 10
# The newest timeline that a standby has ever followed: it keeps a file of each one's history.
HEARD = """
SELECT coalesce(shobj_description(r.oid, 'pg_authid'), '') AS word,
    coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), false) AS replayed,
    coalesce(pg_last_wal_replay_lsn() < pg_last_wal_receive_lsn(), false) AS behind,
    (SELECT coalesce(max(('x' || left(name, 8))::bit(32)::int), 1) FROM pg_ls_waldir()
        WHERE name ~ '^[0-9A-F]{8}[.]history$') AS timeline
FROM pg_roles AS r WHERE r.rolname = $1
"""
WEAKER = (
    "if this persists: a setting of a role, a database or ALTER SYSTEM may have made "
    "synchronous_commit weaker than on"
)


@dataclass(frozen=True)
class LastNotice:
    """What a standby has been told: the last notice of this timeline, and whether it holds."""

    notice: CommitNotice | None = None
    holds: CommitNotice | None = None
    behind: bool = False


def unit(instance: OdooInstance) -> str:
    return f"relevo-synchronous-{instance.name}.service"


def state_path(instance: OdooInstance) -> PurePosixPath:
    return STATE / instance.name / "synchronous.json"


@step("see that commits of {instance.name} wait for {instance.recovery} again")
def prove_again(instance: OdooInstance) -> None:
    """After a failback, see that the origin has switched the waiting on by itself."""
    if instance.replication.synchronous != "off":
        prove(instance)


def prove(instance: OdooInstance) -> None:
    """Wait until the recovery host has read, in its own copy, that commits wait for it."""
    origin, what = instance.origin, f"commits at {instance.origin} wait for {instance.recovery}"
    found: list[str] = []

    def proven() -> bool:
        try:
            measure(instance)
        except RelevoError as error:
            found[:] = [error.message]
            return False
        return last_notice(instance).holds is not None

    try:
        until(proven, what=what, timeout_seconds=BEGIN_SECONDS, every=0.5)
    except CommandFailed:
        # One that is spread over minutes may keep PostgreSQL from reading its settings.
        cluster.checkpoint_now(origin)
        hint = f"run journalctl -u {unit(instance)} on {origin}. Last seen: {found}"
        until(proven, what=what, timeout_seconds=CHECKPOINT_SECONDS, every=0.5, hint=hint)


def last_notice(instance: OdooInstance) -> LastNotice:
    """Ask the standby what the origin said of itself in the WAL that is here."""
    recovery = instance.recovery
    rows = recovery.cluster.query(recovery.host.shell(), HEARD, instance.replication.user)
    if not rows:
        return LastNotice()
    comment, timeline = str(rows[0]["word"]), int(rows[0]["timeline"] or 1)
    notice = reading.parse(comment)
    if notice is not None and notice.timeline < timeline:
        notice = None
    replayed = bool(rows[0]["replayed"])
    holds = reading.in_force(comment, timeline=timeline, replayed=replayed)
    return LastNotice(notice, holds, behind=bool(rows[0]["behind"]))


def notice_in_force(instance: OdooInstance) -> CommitNotice | None:
    """What holds of the commits that are not here, once all that is here has been replayed.

    A promotion waits for that as well.
    """
    with contextlib.suppress(CommandFailed):
        until(
            lambda: not last_notice(instance).behind,
            what="the rest is replayed",
            timeout_seconds=REPLAY_SECONDS,
        )
    return last_notice(instance).holds


def measure(instance: OdooInstance) -> str:
    """Say how both ends stand; raise when commits do not wait, or stand still."""
    sentence = at_origin(instance)
    _require_no_names(instance, instance.recovery)
    wanted = instance.replication.synchronous
    notice = None if wanted == "off" else last_notice(instance).notice
    if wanted != "off" and (notice is None or (notice.waits, notice.policy) != (True, wanted)):
        raise RelevoError(f"{instance.recovery} has no record yet that commits wait for it")
    return sentence


def at_origin(instance: OdooInstance) -> str:
    """What the origin itself says, also while the recovery host is away."""
    if instance.replication.synchronous == "off":
        return "off"
    shell, origin = instance.origin.host.shell(), instance.origin
    state = _state(instance)
    sentence = reading.sentence(state, origin=str(origin), recovery=str(instance.recovery))
    policy = _said_policy(instance)
    if state.get("state") != "synchronous":
        raise RelevoError(f"{sentence}; the policy is: {policy}", hint=WEAKER)
    if shell.run(("systemctl", "is-active", unit(instance)), check=False).stdout != "active\n":
        raise RelevoError(
            f"{unit(instance)} does not run on {origin}: the commit policy is not enforced"
        )
    return f"{policy}; {sentence}"


def follows(instance: OdooInstance) -> bool:
    """Tell whether the origin says of itself that it is a standby, where nobody commits."""
    return _state(instance).get("state") == "standby"


def _state(instance: OdooInstance) -> dict[str, str]:
    text = files.read(instance.origin.host.shell(), state_path(instance))
    return answers.facts(text or "{}", f"{state_path(instance)} on {instance.origin}")


def _said_policy(instance: OdooInstance) -> str:
    roles = instance.replication
    if roles.synchronous == "wait":
        return f"commits always wait for {instance.recovery}"
    return f"commits go on after {roles.go_on_seconds} s without {instance.recovery}"


def _require_no_names(instance: OdooInstance, place: Place) -> None:
    """Refuse a standby that would wait for somebody once it is promoted: nobody follows it then."""
    found = cluster_settings.in_force(place, ("synchronous_standby_names",))
    if names := found.get("synchronous_standby_names", ""):
        raise RelevoError(
            f"{place} has synchronous_standby_names = {names}: after a failover of "
            f"{instance.name} every write there would wait for a standby that is not there",
            hint="run ALTER SYSTEM RESET synchronous_standby_names there, and reload",
        )
